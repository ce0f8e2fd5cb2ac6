"""Recording: a batch of attempts is one transaction; attempts, deliveries and endpoints in a statement each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from worker.delivery import Attempted, DeliveryStatus, Trigger
from worker.store import batches, conditions, overtaken, ready
from worker.store.conditions import Judged, Watch
from worker.store.postgresql import keep_plans
from worker.store.session import storable
from worker.store.tables import Attempt, Delivery, NotificationRow

_UNWATCHED = Watch()
_WORTH_KEEPING = 10
"""Of so many attempts a foreign key each is checked for less than it costs to say so.

Only where nothing follows that asks for what is pending, which a plan for any value would not find by its index.
"""


def record(
    session: Session, attempted: Sequence[Attempted], now: datetime, watch: Watch = _UNWATCHED
) -> list[Attempted]:
    """Write down what was attempted, and what follows. Attempts whose claim was lost are not written, nor returned.

    What comes back is as it counted: what failed while its endpoint was probed didn't. Notifications are locked first,
    as in a poll, then endpoints, as in a claim, so that no two workers ever wait for each other. Whoever changes what
    is pending of an endpoint has locked that, so deliveries need no lock.
    """
    if not attempted:
        return []
    undated = _lock_notifications(session, attempted)
    bad_news = any(one.verdict.status is not DeliveryStatus.DELIVERED for one in attempted)
    told = watch.listeners if bad_news else frozenset()
    locked = conditions.lock(session, {one.due.endpoint for one in attempted} | told)
    held = _held(session, attempted)
    its = defaultdict[str, list[Attempted]](list)
    for one in attempted:
        if one.due.delivery_id in held:
            its[one.due.endpoint].append(one)
    judged = {
        endpoint.id: conditions.judge(session, endpoint, its[endpoint.name], watch, now)
        for endpoint in locked
        if endpoint.name in its
    }
    if not judged:
        return []
    counted = sorted((one for each in judged.values() for one in each.counted), key=lambda one: one.due.delivery_id)
    ours = [_owed_anew(one, now) if held[one.due.delivery_id] else one for one in counted]
    if len(ours) >= _WORTH_KEEPING and not bad_news and not any(map(_turns, judged.values())):
        keep_plans(session.connection())
    batches.put(session, Attempt, [_attempt(one) for one in ours], _plainly, _ALIKE)
    changed = [_delivery(one, held[one.due.delivery_id]) for one in ours]
    batches.change(session, Delivery, changed, "claim_token", "claimed_until", "reason")
    _date_notifications(session, ours, undated)
    conditions.put(session, {of: each.condition for of, each in judged.items() if each.condition}, now)
    _skip_overtaken(session, {each.id for each in locked if each.name in watch.latest}, judged, now)
    _follow(session, judged, watch, now)
    return ours


def _turns(judged: Judged) -> bool:
    return bool(judged.turned or judged.failed_since)


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


def _lock_notifications(session: Session, attempted: Sequence[Attempted]) -> frozenset[str]:
    """Those that are delivered now for the first time."""
    to_be_dated = {of for one in attempted if (of := _dates(one))}
    if not to_be_dated:
        return frozenset()
    found = ready.execute(session, _undated, ids=[ready.undashed(of) for of in sorted(to_be_dated)])
    return frozenset(map(ready.dashed, found.scalars()))


@cache
def _undated(dialect: str) -> Any:
    row, which = NotificationRow, ready.one_of(dialect, col(NotificationRow.id), "ids")
    its = ready.as_text(dialect, col(row.id))
    undated = select(its).where(which, col(row.delivered_at).is_(None)).order_by(col(row.id))
    return undated.with_for_update(key_share=True)


def _dates(one: Attempted) -> str | None:
    """The notification that this attempt delivered."""
    return one.due.notification_id if one.verdict.status is DeliveryStatus.DELIVERED else None


def _held(session: Session, attempted: Sequence[Attempted]) -> dict[int, str | None]:
    """Which of these are still claimed by us; with the trigger of those that were owed anew by hand meanwhile."""
    claimed = {one.due.delivery_id: one.due for one in attempted}
    rows: Sequence[Any] = ready.execute(session, _claims, ids=sorted(claimed)).all()
    return {
        delivery_id: None if (stage + 1, trigger) == (due.round, due.trigger) else trigger
        for delivery_id, token, stage, trigger in rows
        if token == (due := claimed[delivery_id]).claim_token
    }


@cache
def _claims(dialect: str) -> Any:
    row = Delivery
    columns = select(col(row.id), col(row.claim_token), col(row.round), col(row.trigger))
    return columns.where(ready.one_of(dialect, col(row.id), "ids"))


def _attempt(one: Attempted) -> dict[str, object]:
    return {
        "delivery_id": one.due.delivery_id,
        "number": one.due.attempt,
        "trigger": str(one.due.made_as),
        "started_at": one.outcome.started_at,
        "duration_ms": one.outcome.milliseconds,
        "outcome": str(one.outcome.wire),
        "status_code": one.outcome.status_code,
        "response_excerpt": one.outcome.response_excerpt and storable(one.outcome.response_excerpt),
    }


_ALIKE = ("number", "trigger", "outcome", "status_code", "response_excerpt")
_LASTING = frozenset({Trigger.REDELIVERY, Trigger.TEST})
"""What a person asked for stays that, however often it is tried."""


def _delivery(one: Attempted, anew: str | None) -> dict[str, object]:
    """What doesn't count leaves the delivery where it was; what was owed `anew` has its whole schedule before it."""
    unused = 0 if one.verdict.counts else 1
    becomes = one.due.trigger if unused or one.due.trigger in _LASTING else Trigger.RETRY
    return {
        "id": one.due.delivery_id,
        "status": str(one.verdict.status),
        "attempts": one.due.attempt - unused,
        "round": 0 if anew else one.due.round - unused,
        "trigger": anew or str(becomes),
        "next_attempt_at": one.verdict.next_attempt_at,
        "delivered_at": one.verdict.delivered_at,
        "last_outcome": str(one.outcome.wire),
        "last_status_code": one.outcome.status_code,
    }


def _date_notifications(session: Session, ours: Sequence[Attempted], undated: frozenset[str]) -> None:
    """The first date on which any endpoint got it (DELIVERY, section 5)."""
    dates: dict[str, datetime | None] = {}
    for one in ours:
        if (of := _dates(one)) in undated and of not in dates:
            dates[of] = one.verdict.delivered_at
    if dates:
        rows = [{"id": ready.undashed(of), "delivered_at": at} for of, at in dates.items()]
        batches.change(session, NotificationRow, rows)


def _plainly(insert: Any) -> Any:
    """Append-only: none is there already."""
    return insert
