"""Claiming: due deliveries of many endpoints at once, a few of each, under a lease (DELIVERY, section 1).

An endpoint's row is locked while its deliveries are claimed, so that its limits hold for all workers together; a row
that another worker has locked is passed over. On SQLite one BEGIN IMMEDIATE does the locking.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ARRAY, ColumnElement, Integer, bindparam, column, func, literal, or_, true, update
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


_ANYTHING_DUE = select(literal(1)).where(col(EndpointRow.due_at) <= bindparam("now")).limit(1)


def anything_due(session: Session, now: datetime) -> bool:
    """Whether a claim may find something. A fraction of its cost, which an idle daemon would pay every second."""
    return session.connection().execute(_ANYTHING_DUE, {"now": now}).scalar() is not None


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
    _set_due(session, wanted, allowances, Counter(taken.values()), now)
    return _load(session, list(taken), {endpoint.id: endpoint for endpoint, _ in wanted}) if taken else []


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
    """Claim up to that many of each; the deliveries that were taken, each with its endpoint.

    That they are pending isn't asked again: PostgreSQL would look for them in an index of all that is.
    """
    rooms = {endpoint.id or 0: room for endpoint, room in wanted}
    lease_for = max(allowances[endpoint.name].lease_for for endpoint, _ in wanted)
    statement = (
        update(Delivery)
        .where(col(Delivery.id).in_(_picked(session, rooms, now)), _unclaimed(now))
        .values(claim_token=token, claimed_until=now + lease_for)
        .returning(col(Delivery.id), col(Delivery.endpoint_id))
        .execution_options(synchronize_session=False)
    )
    return dict(session.execute(statement).all())


def _picked(session: Session, rooms: Mapping[int, int], now: datetime) -> Sequence[int | None]:
    """The due deliveries of each endpoint, as many as there is room for.

    SQLite knows no LATERAL; there a query for each endpoint costs no way to a server.
    """
    if session.get_bind().dialect.name == "postgresql":
        ids, counts = (bindparam(None, list(values), ARRAY(Integer)) for values in (rooms, rooms.values()))
        each = func.unnest(ids, counts).table_valued(column("id", Integer), column("room", Integer))
        wanted = each.render_derived("wanted")
        due = _due(wanted.c.id, wanted.c.room, now).lateral()
        return session.scalars(select(due.c.id).select_from(wanted.join(due, true()))).all()
    one, connection = _due(bindparam("of"), bindparam("room"), now), session.connection()
    found = (connection.execute(one, {"of": endpoint_id, "room": room}) for endpoint_id, room in rooms.items())
    return [identity for result in found for identity in result.scalars()]


def _due(endpoint_id: ColumnElement[int], room: ColumnElement[int], now: datetime) -> SelectOfScalar[int | None]:
    """An endpoint's due deliveries, the longest waiting first.

    OFFSET keeps PostgreSQL from joining all that is pending with itself: it looks at each row in turn, until the limit.
    """
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
        .offset(0)
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
    taken: Counter[int],
    now: datetime,
) -> None:
    """When each endpoint is to be looked at again. What is recorded, owed or put back meanwhile wakes it earlier.

    One that may have more goes behind the others, so that none waits for another's backlog.
    """
    emptied = [endpoint.id or 0 for endpoint, room in wanted if taken[endpoint.id or 0] < room]
    next_due = _next_due(session, emptied, now)
    for endpoint, _ in wanted:
        count = taken[endpoint.id or 0]
        rate = allowances[endpoint.name].rate
        if rate and count:
            endpoint.paced_until = spent(rate, endpoint.paced_until, count, now)
        endpoint.due_at = next_due.get(endpoint.id or 0, now)
    session.flush()


def _next_due(session: Session, endpoint_ids: Sequence[int], now: datetime) -> dict[int, datetime | None]:
    """The next attempt by schedule, or the first lease to end; null when neither is to come."""
    if not endpoint_ids:
        return {}
    first = [
        select(func.min(moment)).where(col(Delivery.endpoint_id) == EndpointRow.id, _pending(), moment > now)
        for moment in (col(Delivery.next_attempt_at), col(Delivery.claimed_until))
    ]
    found = session.execute(
        select(EndpointRow.id, *(query.scalar_subquery() for query in first)).where(
            col(EndpointRow.id).in_(endpoint_ids)
        )
    ).all()
    return {endpoint_id: min((moment for moment in moments if moment), default=None) for endpoint_id, *moments in found}


def _load(session: Session, ids: Sequence[int], endpoints: Mapping[int | None, EndpointRow]) -> list[Due]:
    rows = session.execute(
        select(Delivery, Message.body, Message.created_at, Source.name)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(Source, col(Source.id) == col(Message.source_id), isouter=True)
        .where(col(Delivery.id).in_(ids))
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
            claim_token=row.claim_token,
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
