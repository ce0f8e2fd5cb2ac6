"""How sources and endpoints fare, in rows that `status` and the lists show (INTERFACE, section 3). Pure."""

from datetime import datetime, timedelta
from typing import Any

from worker.delivery import DeliveryStatus
from worker.moment import Schedule, lags
from worker.notification import rfc3339
from worker.store.fates import EndpointFate, SourceFate
from worker.store.tables import EndpointRow, Source

OK, FAILING, PAUSED, DISABLED = "ok", "failing", "paused", "disabled"


def source_row(name: str, fate: SourceFate, schedule: Schedule, now: datetime) -> dict[str, Any]:
    """A source as JSON. It fails when its last poll did, or when it lags more than three intervals (POLLING, 7).

    It doesn't lag where it isn't due: the provider asked to be left alone until then.
    """
    row = fate.row
    status, reason = _source_status(name, fate, schedule, now)
    return {
        "name": name,
        "provider": row.provider,
        "status": status,
        "reason": reason,
        "last_poll_at": rfc3339(row.last_poll_at),
        "next_poll_at": rfc3339(row.next_poll_at) if status != PAUSED else None,
        "covered_until": rfc3339(row.covered_until),
        "lag_s": round((now - row.covered_until) / timedelta(seconds=1), 3) if row.covered_until else None,
        "failures": row.failures,
        "notifications": fate.notifications,
        "open": fate.open,
        "rejected": fate.rejected,
    }


def endpoint_row(name: str, fate: EndpointFate, url: str) -> dict[str, Any]:
    """An endpoint as JSON; `url` is already without query and password."""
    row = fate.row
    status, reason = OK, None
    if row.failing_since:
        status, reason = FAILING, _why_failing(row)
    if row.disabled_at:
        status, reason = DISABLED, row.reason
    return {
        "name": name,
        "url": url,
        "status": status,
        "reason": reason,
        "pending": fate.deliveries.get(DeliveryStatus.PENDING, 0),
        "oldest_pending_at": rfc3339(fate.oldest_pending_at),
        "failing_since": rfc3339(row.failing_since),
        "delivered": fate.deliveries.get(DeliveryStatus.DELIVERED, 0),
        "exhausted": fate.deliveries.get(DeliveryStatus.EXHAUSTED, 0),
    }


def _why_failing(row: EndpointRow) -> str:
    reason = f"{row.failures} failed attempts since it last answered well"
    if row.reason:
        reason += f", the last {row.reason}"
    if row.probe_at:
        return f"{reason}; it is probed, one request at a time, next at {rfc3339(_later(row.probe_at, row.slow_until))}"
    return f"{reason}; left alone until {rfc3339(row.slow_until)}" if row.slow_until else reason


def _later(one: datetime, other: datetime | None) -> datetime:
    return max(one, other or one)


def needs_a_person(rows: list[dict[str, Any]]) -> bool:
    """Whether anything is not ok: `status` then exits 1."""
    return any(row["status"] != OK for row in rows)


def _source_status(name: str, fate: SourceFate, schedule: Schedule, now: datetime) -> tuple[str, str | None]:
    row = fate.row
    if row.paused_at:
        return PAUSED, row.reason
    if row.failures:
        return FAILING, row.reason
    if row.next_poll_at <= now and lags(name, schedule, row.covered_until or row.created_at, now):
        return FAILING, f"it is more than three intervals behind: {_why_behind(row, now)}"
    return OK, row.reason


def _why_behind(row: Source, now: datetime) -> str:
    if row.lease_until and row.lease_until > now:
        return "its poll has not ended yet"
    if row.last_poll_at and row.last_poll_at >= row.next_poll_at:
        return "its polls begin and do not end; the log says why"
    return "is a worker running?"
