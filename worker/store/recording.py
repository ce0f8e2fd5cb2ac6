"""Recording: a batch of attempts is one transaction; attempts, deliveries and endpoints in a statement each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from worker.delivery import Attempted, DeliveryStatus, Trigger
from worker.store import conditions, endpoints, overtaken
from worker.store.conditions import Judged, Watch
from worker.store.session import storable
from worker.store.tables import Attempt, Delivery, NotificationRow

_UNWATCHED = Watch()


def record(
    session: Session, attempted: Sequence[Attempted], now: datetime, watch: Watch = _UNWATCHED
) -> list[Attempted]:
    """Write down what was attempted, and what follows. Attempts whose claim was lost are not written, nor returned.

    What comes back is as it counted: what failed while its endpoint was probed didn't. Notifications are locked first,
    as in a poll, then endpoints, as in a claim, so that no two workers ever wait for each other.
    """
    _lock_notifications(session, attempted)
    bad_news = any(one.verdict.status is not DeliveryStatus.DELIVERED for one in attempted)
    told = watch.listeners if bad_news else frozenset()
    locked = endpoints.lock(session, {one.due.endpoint for one in attempted} | told)
    held = _held(session, attempted)
    judged = {
        endpoint.id or 0: conditions.judge(session, endpoint, its, watch, now)
        for endpoint in locked
        if (its := [one for one in attempted if one.due.endpoint == endpoint.name and one.due.delivery_id in held])
    }
    if not judged:
        return []
    counted = sorted((one for each in judged.values() for one in each.counted), key=lambda one: one.due.delivery_id)
    ours = [_owed_anew(one, now) if held[one.due.delivery_id] else one for one in counted]
    session.execute(insert(Attempt), [_attempt(one) for one in ours])
    _update_deliveries(session, ours, held)
    _date_notifications(session, ours)
    session.flush()
    _skip_overtaken(session, {each.id or 0 for each in locked if each.name in watch.latest}, judged, now)
    _follow(session, judged, watch, now)
    return ours


def _owed_anew(one: Attempted, now: datetime) -> Attempted:
    """It was asked for by hand while its request was open: where that failed, it is due now."""
    if one.verdict.status is DeliveryStatus.DELIVERED:
        return one
    return replace(one, verdict=replace(one.verdict, status=DeliveryStatus.PENDING, next_attempt_at=now))


def _skip_overtaken(session: Session, latest: set[int], judged: Mapping[int, Judged], now: datetime) -> None:
    """What failed of these endpoints and was overtaken meanwhile holds no newer revision back."""
    failed = {
        UUID(of)
        for endpoint_id in latest & judged.keys()
        for one in judged[endpoint_id].counted
        if (of := one.due.notification_id) and one.verdict.status is DeliveryStatus.PENDING
    }
    if failed:
        overtaken.skip(session, sorted(latest & judged.keys()), col(Delivery.notification_id).in_(failed), now)


def _follow(session: Session, judged: Mapping[int, Judged], watch: Watch, now: datetime) -> None:
    """What turned for an endpoint is told, and one that has recovered gets what failed meanwhile."""
    for endpoint_id, its in judged.items():
        if its.failed_since:
            conditions.hasten(session, endpoint_id, its.failed_since, now)
        for turned in its.turned:
            watch.tell(session, turned)


def _lock_notifications(session: Session, attempted: Sequence[Attempted]) -> None:
    row, to_be_dated = NotificationRow, {of for one in attempted if (of := _dates(one))}
    if to_be_dated:
        rows = select(row.id).where(col(row.id).in_(to_be_dated), col(row.delivered_at).is_(None)).order_by(col(row.id))
        session.exec(rows.with_for_update(key_share=True)).all()


def _dates(one: Attempted) -> UUID | None:
    """The notification that this attempt delivered."""
    delivered = one.verdict.status is DeliveryStatus.DELIVERED
    return UUID(one.due.notification_id) if delivered and one.due.notification_id else None


def _held(session: Session, attempted: Sequence[Attempted]) -> dict[int, str | None]:
    """Which of these are still claimed by us; with the trigger of those that were owed anew by hand meanwhile."""
    claimed = {one.due.delivery_id: one.due for one in attempted}
    row = Delivery
    rows = session.execute(
        select(col(row.id), col(row.claim_token), col(row.round), col(row.trigger))
        .where(col(row.id).in_(sorted(claimed)))
        .order_by(col(row.id))
        .with_for_update()
    ).all()
    return {
        delivery_id: None if (stage + 1, trigger) == (due.round, due.trigger.value) else trigger
        for delivery_id, token, stage, trigger in rows
        if token == (due := claimed[delivery_id]).claim_token
    }


def _attempt(one: Attempted) -> dict[str, object]:
    return {
        "delivery_id": one.due.delivery_id,
        "number": one.due.attempt,
        "trigger": one.due.made_as.value,
        "started_at": one.outcome.started_at,
        "duration_ms": one.outcome.duration // timedelta(milliseconds=1),
        "outcome": one.outcome.wire.value,
        "status_code": one.outcome.status_code,
        "response_excerpt": one.outcome.response_excerpt and storable(one.outcome.response_excerpt),
    }


def _update_deliveries(session: Session, ours: Sequence[Attempted], anew: Mapping[int, str | None]) -> None:
    table = Delivery.__table__  # type: ignore[attr-defined]
    statement = (
        update(table)
        .where(table.c.id == bindparam("of"))
        .values(
            {name: bindparam(f"to_{name}") for name in _OUTCOME}
            | {"claim_token": None, "claimed_until": None, "reason": None}
        )
    )
    session.connection().execute(statement, [_delivery(one, anew[one.due.delivery_id]) for one in ours])


_OUTCOME = (
    "status", "attempts", "round", "trigger", "next_attempt_at", "delivered_at", "last_outcome", "last_status_code",
)  # fmt: skip


_LASTING = frozenset({Trigger.REDELIVERY, Trigger.TEST})
"""What a person asked for stays that, however often it is tried."""


def _delivery(one: Attempted, anew: str | None) -> dict[str, object]:
    """What doesn't count leaves the delivery where it was; what was owed `anew` has its whole schedule before it."""
    unused = 0 if one.verdict.counts else 1
    becomes = one.due.trigger if unused or one.due.trigger in _LASTING else Trigger.RETRY
    values = (
        one.verdict.status.value,
        one.due.attempt - unused,
        0 if anew else one.due.round - unused,
        anew or becomes.value,
        one.verdict.next_attempt_at,
        one.verdict.delivered_at,
        one.outcome.wire.value,
        one.outcome.status_code,
    )
    return {"of": one.due.delivery_id} | {f"to_{name}": value for name, value in zip(_OUTCOME, values, strict=True)}


def _date_notifications(session: Session, ours: Sequence[Attempted]) -> None:
    """The first date on which any endpoint got it (DELIVERY, section 5)."""
    table = NotificationRow.__table__  # type: ignore[attr-defined]
    dates = [{"of": of, "at": one.verdict.delivered_at} for one in ours if (of := _dates(one))]
    if dates:
        statement = update(table).where(table.c.id == bindparam("of"), table.c.delivered_at.is_(None))
        session.connection().execute(statement.values(delivered_at=bindparam("at")), dates)
