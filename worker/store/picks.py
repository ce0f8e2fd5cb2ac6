"""Picks: which of an endpoint's deliveries are due, in the order in which they go out (DELIVERY, sections 1 and 4)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, bindparam, column, func, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from worker.delivery import DeliveryStatus
from worker.store import ready
from worker.store.tables import Delivery, EndpointRow

PENDING = col(Delivery.status) == DeliveryStatus.PENDING.value
_INSTANT = Delivery.__table__.c.next_attempt_at.type  # type: ignore[attr-defined]
NOW: ColumnElement[datetime] = bindparam("now", type_=_INSTANT)
"""The instant, in a statement that is made once."""


_WANTED = {"id": Integer(), "room": Integer(), "due_by": _INSTANT}


@dataclass(frozen=True, slots=True)
class Pick:
    """So many of an endpoint's deliveries that are due by then."""

    endpoint_id: int
    count: int
    due_by: datetime


def unclaimed(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Nobody has it, or not any more."""
    return or_(col(Delivery.claimed_until).is_(None), col(Delivery.claimed_until) <= now)


def picked(session: Session, wanted: Sequence[Pick], now: datetime) -> Sequence[int | None]:
    """The ids of due deliveries of each endpoint, the longest waiting first.

    SQLite knows no LATERAL, nor a LIMIT for each row; there it is a statement for all endpoints that get as much.
    """
    alike: dict[tuple[int, datetime], list[int]] = defaultdict(list)
    if session.get_bind().dialect.name == ready.POSTGRESQL:
        columns = zip(*((pick.endpoint_id, pick.count, pick.due_by) for pick in wanted), strict=True)
        values = dict(zip(_WANTED, map(list, columns), strict=True))
        return ready.execute(session, _picked, now=now, **values).scalars().all()
    for pick in wanted:
        alike[pick.count, pick.due_by].append(pick.endpoint_id)
    found = (
        ready.execute(session, _picked, id=ids, room=count, due_by=due_by, now=now)
        for (count, due_by), ids in alike.items()
    )
    return [identity for each in found for identity in each.scalars()]


@cache
def _picked(dialect: str) -> Any:
    """On SQLite so many of each of these endpoints."""
    if dialect == ready.POSTGRESQL:
        arrays = [ready.array(name, kind) for name, kind in _WANTED.items()]
        given = func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in _WANTED.items()))
        rows = given.render_derived("wanted")
        due = _due(rows.c.id, rows.c.room, rows.c.due_by).lateral()
        return select(due.c.id).select_from(rows.join(due, true()))
    each = func.json_each(bindparam("id", type_=Text())).table_valued(column("value", Integer()), name="of")
    picked_one = aliased(Delivery)
    its = _due(each.c.value, bindparam("room", type_=Integer()), bindparam("due_by", type_=_INSTANT))
    return select(col(picked_one.id)).select_from(each.join(picked_one, col(picked_one.id).in_(its.correlate(each))))


def _due(
    endpoint_id: ColumnElement[int], room: ColumnElement[int], due_by: ColumnElement[datetime]
) -> SelectOfScalar[int | None]:
    """An endpoint's due deliveries, the longest waiting first.

    OFFSET keeps PostgreSQL from joining all that is pending with itself: it looks at each row in turn, until the limit.
    That a revision is no less than 1 has SQLite look for it in `delivery_order`, and not in all that is pending.
    """
    earlier = aliased(Delivery)
    blocked = (
        select(earlier.id)
        .where(
            col(earlier.endpoint_id) == Delivery.endpoint_id,
            col(earlier.notification_id) == Delivery.notification_id,
            col(earlier.status) == DeliveryStatus.PENDING.value,
            col(earlier.revision) >= 1,
            or_(
                col(earlier.revision) < Delivery.revision,
                (col(earlier.claimed_until) > NOW) & (col(earlier.id) != Delivery.id),
            ),
        )
        .offset(0)
        .exists()
    )
    return (
        select(col(Delivery.id))
        .where(
            col(Delivery.endpoint_id) == endpoint_id, PENDING, col(Delivery.next_attempt_at) <= due_by,
            unclaimed(NOW), ~blocked,
        )
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
        .limit(room)
    )  # fmt: skip


def next_due(session: Session, endpoint_ids: Sequence[int], now: datetime) -> dict[int, datetime | None]:
    """The next attempt by schedule, or the first lease to end; null when neither is to come."""
    if not endpoint_ids:
        return {}
    found: Iterable[Any] = ready.execute(session, _next_due, endpoints=list(endpoint_ids), now=now)
    return {endpoint_id: min((moment for moment in moments if moment), default=None) for endpoint_id, *moments in found}


@cache
def _next_due(dialect: str) -> Any:
    first = [
        select(func.min(moment)).where(col(Delivery.endpoint_id) == EndpointRow.id, PENDING, moment > NOW)
        for moment in (col(Delivery.next_attempt_at), col(Delivery.claimed_until))
    ]
    return select(col(EndpointRow.id), *(query.scalar_subquery() for query in first)).where(
        ready.one_of(dialect, col(EndpointRow.id), "endpoints")
    )
