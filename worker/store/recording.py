"""Recording: a batch of attempts is one transaction; attempts, deliveries and endpoints in a statement each."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from worker.delivery import Attempted, DeliveryStatus, Trigger
from worker.store.session import storable
from worker.store.tables import Attempt, Delivery, EndpointRow, NotificationRow


def record(session: Session, attempted: Sequence[Attempted], now: datetime) -> list[Attempted]:
    """Write down what was attempted, and what follows. Attempts whose claim was lost are not written, nor returned.

    Notifications are locked first, as in a poll, then endpoints, as in a claim, so that no two workers ever wait for
    each other.
    """
    _lock_notifications(session, attempted)
    endpoints = _lock_endpoints(session, {one.due.endpoint for one in attempted})
    held = _held(session, attempted)
    ours = sorted((one for one in attempted if one.due.delivery_id in held), key=lambda one: one.due.delivery_id)
    if not ours:
        return []
    session.execute(insert(Attempt), [_attempt(one) for one in ours])
    _update_deliveries(session, ours)
    _date_notifications(session, ours)
    for endpoint in endpoints:
        _judge_endpoint(endpoint, [one for one in ours if one.due.endpoint == endpoint.name], now)
    session.flush()
    return ours


def _lock_notifications(session: Session, attempted: Sequence[Attempted]) -> None:
    row, to_be_dated = NotificationRow, {of for one in attempted if (of := _dates(one))}
    if to_be_dated:
        rows = select(row.id).where(col(row.id).in_(to_be_dated), col(row.delivered_at).is_(None)).order_by(col(row.id))
        session.exec(rows.with_for_update(key_share=True)).all()


def _dates(one: Attempted) -> UUID | None:
    """The notification that this attempt delivered."""
    delivered = one.verdict.status is DeliveryStatus.DELIVERED
    return UUID(one.due.notification_id) if delivered and one.due.notification_id else None


def _lock_endpoints(session: Session, names: Iterable[str]) -> Sequence[EndpointRow]:
    rows = select(EndpointRow).where(col(EndpointRow.name).in_(sorted(names))).order_by(col(EndpointRow.id))
    return session.exec(rows.with_for_update(key_share=True)).all()


def _held(session: Session, attempted: Sequence[Attempted]) -> set[int]:
    """Which of these are still claimed by us."""
    tokens = {one.due.delivery_id: one.due.claim_token for one in attempted}
    rows = session.execute(
        select(Delivery.id, Delivery.claim_token)
        .where(col(Delivery.id).in_(sorted(tokens)))
        .order_by(col(Delivery.id))
        .with_for_update()
    ).all()
    return {delivery_id for delivery_id, token in rows if token == tokens[delivery_id]}


def _attempt(one: Attempted) -> dict[str, object]:
    return {
        "delivery_id": one.due.delivery_id,
        "number": one.due.attempt,
        "trigger": one.due.trigger.value,
        "started_at": one.outcome.started_at,
        "duration_ms": one.outcome.duration // timedelta(milliseconds=1),
        "outcome": one.outcome.wire.value,
        "status_code": one.outcome.status_code,
        "response_excerpt": one.outcome.response_excerpt and storable(one.outcome.response_excerpt),
    }


def _update_deliveries(session: Session, ours: Sequence[Attempted]) -> None:
    table = Delivery.__table__  # type: ignore[attr-defined]
    statement = (
        update(table)
        .where(table.c.id == bindparam("of"))
        .values(
            {name: bindparam(f"to_{name}") for name in _OUTCOME}
            | {"trigger": Trigger.RETRY.value, "claim_token": None, "claimed_until": None, "reason": None}
        )
    )
    session.connection().execute(statement, [_delivery(one) for one in ours])


_OUTCOME = ("status", "attempts", "round", "next_attempt_at", "delivered_at", "last_outcome", "last_status_code")


def _delivery(one: Attempted) -> dict[str, object]:
    values = (
        one.verdict.status.value,
        one.due.attempt,
        one.due.round,
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


def _judge_endpoint(endpoint: EndpointRow, ours: Sequence[Attempted], now: datetime) -> None:
    """What these attempts mean for their endpoint, in the order in which they were answered."""
    for one in sorted(ours, key=lambda each: each.outcome.answered_at):
        if one.verdict.status is DeliveryStatus.DELIVERED:
            endpoint.failures, endpoint.failing_since, endpoint.slowed, endpoint.slow_until = 0, None, 0, None
            continue
        endpoint.failures += 1
        endpoint.failing_since = endpoint.failing_since or one.outcome.started_at
        if one.verdict.slow_until:
            if one.outcome.retry_after is None and one.due.slowed == endpoint.slowed:
                endpoint.slowed += 1  # once a wait, however many requests were open when it began
            endpoint.slow_until = max(endpoint.slow_until or one.verdict.slow_until, one.verdict.slow_until)
        if one.verdict.disable_reason and endpoint.disabled_at is None:
            endpoint.disabled_at, endpoint.reason = now, one.verdict.disable_reason
    if ours:
        endpoint.due_at = now
