"""Claiming: due deliveries of many endpoints at once, a few of each, under a lease (DELIVERY, section 1).

An endpoint's row is locked while its deliveries are claimed, so that its limits hold for all workers together; a row
that another worker has locked is passed over. The statements are the same on SQLite, where one BEGIN IMMEDIATE does
the locking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, func, or_, union_all, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from worker.delivery import DeliveryStatus, Due, Trigger
from worker.pace import room_at, spent
from worker.settings import Rate
from worker.store.tables import Delivery, EndpointRow, Message, Source


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of an endpoint may be claimed: requests open at once, a rate, and how long a claim holds."""

    max_in_flight: int
    lease_for: timedelta
    rate: Rate | None = None


def claim(session: Session, allowances: Mapping[str, Allowance], most: int, now: datetime) -> list[Due]:
    """Take due deliveries for a while, `most` in all, the longest-waiting of each endpoint first.

    A revision is not due while an earlier one of its notification is pending for that endpoint, nor while any other is
    open. Whatever is not recorded before its lease ends is due again.
    """
    rooms = _rooms(session, allowances, now)
    share = max(1, most // max(1, len(rooms)))
    wanted = [(endpoint, min(room, share)) for endpoint, room in rooms][:most]
    if not wanted:
        return []
    token = uuid4().hex
    taken = _take(session, wanted, allowances, token, now)
    _set_due(session, wanted, allowances, taken, now)
    return _load(session, token, {endpoint.id: endpoint for endpoint, _ in wanted}) if taken else []


def _rooms(session: Session, allowances: Mapping[str, Allowance], now: datetime) -> list[tuple[EndpointRow, int]]:
    """The endpoints that have something due and room for it, locked."""
    ready = (
        select(EndpointRow)
        .where(
            col(EndpointRow.due_at) <= now,
            col(EndpointRow.disabled_at).is_(None),
            or_(col(EndpointRow.slow_until).is_(None), col(EndpointRow.slow_until) <= now),
            col(EndpointRow.name).in_(list(allowances)),
        )
        .order_by(col(EndpointRow.due_at), col(EndpointRow.id))
        .with_for_update(skip_locked=True, key_share=True)
    )
    endpoints = session.exec(ready).all()
    if not endpoints:
        return []
    opened = (
        select(Delivery.endpoint_id, func.count())
        .where(_pending(), col(Delivery.claimed_until) > now, col(Delivery.endpoint_id).in_([e.id for e in endpoints]))
        .group_by(col(Delivery.endpoint_id))
    )
    open_now = dict(session.execute(opened).all())
    rooms = []
    for endpoint in endpoints:
        allowance = allowances[endpoint.name]
        room = allowance.max_in_flight - open_now.get(endpoint.id, 0)
        if allowance.rate:
            room = min(room, room_at(allowance.rate, endpoint.paced_until, now))
        if room > 0:
            rooms.append((endpoint, room))
    return rooms


def _take(
    session: Session,
    wanted: Sequence[tuple[EndpointRow, int]],
    allowances: Mapping[str, Allowance],
    token: str,
    now: datetime,
) -> dict[int, int]:
    """Claim up to that many of each; how many were taken, by endpoint."""
    picked = union_all(*(select(_due(endpoint.id or 0, room, now).subquery().c.id) for endpoint, room in wanted))
    lease_for = max(allowances[endpoint.name].lease_for for endpoint, _ in wanted)
    statement = (
        update(Delivery)
        .where(col(Delivery.id).in_(picked), _pending(), _unclaimed(now))
        .values(claim_token=token, claimed_until=now + lease_for)
        .returning(col(Delivery.endpoint_id))
    )
    taken: dict[int, int] = {}
    for endpoint_id in session.execute(statement).scalars():
        taken[endpoint_id] = taken.get(endpoint_id, 0) + 1
    return taken


def _due(endpoint_id: int, room: int, now: datetime) -> SelectOfScalar[int | None]:
    earlier = aliased(Delivery)
    blocked = (
        select(earlier.id)
        .where(
            col(earlier.endpoint_id) == Delivery.endpoint_id,
            col(earlier.notification_id) == Delivery.notification_id,
            col(earlier.status) == DeliveryStatus.PENDING.value,
            or_(
                col(earlier.revision) < Delivery.revision,
                (col(earlier.claimed_until) > now) & (col(earlier.id) != Delivery.id),
            ),
        )
        .exists()
    )
    return (
        select(col(Delivery.id))
        .where(
            col(Delivery.endpoint_id) == endpoint_id, _pending(), col(Delivery.next_attempt_at) <= now,
            _unclaimed(now), ~blocked,
        )
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
        .limit(room)
    )  # fmt: skip


def _set_due(
    session: Session,
    wanted: Sequence[tuple[EndpointRow, int]],
    allowances: Mapping[str, Allowance],
    taken: Mapping[int, int],
    now: datetime,
) -> None:
    """When each endpoint is to be looked at again. What is recorded, owed or put back meanwhile wakes it earlier."""
    for endpoint, room in wanted:
        count = taken.get(endpoint.id or 0, 0)
        rate = allowances[endpoint.name].rate
        if rate and count:
            endpoint.paced_until = spent(rate, endpoint.paced_until, count, now)
        if count < room:
            endpoint.due_at = _next_due(session, endpoint.id or 0, now)
    session.flush()


def _next_due(session: Session, endpoint_id: int, now: datetime) -> datetime | None:
    """The next attempt by schedule, or the first lease to end; null when neither is to come."""
    mine = col(Delivery.endpoint_id) == endpoint_id
    upcoming = select(func.min(Delivery.next_attempt_at)).where(mine, _pending(), col(Delivery.next_attempt_at) > now)
    lapsing = select(func.min(Delivery.claimed_until)).where(mine, _pending(), col(Delivery.claimed_until) > now)
    moments = [session.exec(query).one() for query in (upcoming, lapsing)]
    return min((moment for moment in moments if moment), default=None)


def _load(session: Session, token: str, endpoints: Mapping[int | None, EndpointRow]) -> list[Due]:
    rows = session.execute(
        select(Delivery, Message.body, Message.created_at, Source.name)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(Source, col(Source.id) == col(Message.source_id), isouter=True)
        .where(col(Delivery.claim_token) == token)
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
    ).all()
    return [
        Due(
            delivery_id=row.id,
            message_id=row.message_id,
            endpoint=endpoints[row.endpoint_id].name,
            body=body,
            attempt=row.attempts + 1,
            round=row.round + 1,
            trigger=Trigger(row.trigger),
            slowed=endpoints[row.endpoint_id].slowed,
            claim_token=token,
            source=source,
            notification_id=str(row.notification_id) if row.notification_id else None,
            made_at=made_at,
        )
        for row, body, made_at, source in rows
    ]


def _pending() -> ColumnElement[bool]:
    return col(Delivery.status) == DeliveryStatus.PENDING.value


def _unclaimed(now: datetime) -> ColumnElement[bool]:
    return or_(col(Delivery.claimed_until).is_(None), col(Delivery.claimed_until) <= now)
