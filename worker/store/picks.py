"""Picks: which of an endpoint's deliveries are due, in the order in which they go out (DELIVERY, sections 1 and 4)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Executable,
    Integer,
    Text,
    bindparam,
    column,
    func,
    or_,
    true,
)
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from worker.delivery import DeliveryStatus
from worker.store import batches
from worker.store.tables import Delivery, EndpointRow

PENDING = col(Delivery.status) == DeliveryStatus.PENDING.value
_INSTANT = Delivery.__table__.c.next_attempt_at.type  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Pick:
    """So many of an endpoint's deliveries that are due by then."""

    endpoint_id: int
    count: int
    due_by: datetime


def unclaimed(now: datetime | BindParameter[Any]) -> ColumnElement[bool]:
    """Nobody has it, or not any more."""
    return or_(col(Delivery.claimed_until).is_(None), col(Delivery.claimed_until) <= now)


def picked(session: Session, wanted: Sequence[Pick], now: datetime) -> Sequence[int | None]:
    """The ids of due deliveries of each endpoint, the longest waiting first.

    SQLite knows no LATERAL, nor a LIMIT for each row; there it is a statement for all endpoints that get as much.
    """
    run = session.connection().execute
    if batches.speaks_postgresql(session):
        values = zip(*((pick.endpoint_id, pick.count, pick.due_by) for pick in wanted), strict=True)
        given = {name: list(each) for name, each in zip(_WANTED, values, strict=True)}
        return run(_of_all(), {**given, "now": now}).scalars().all()
    alike: dict[tuple[int, datetime], list[int]] = defaultdict(list)
    for pick in wanted:
        alike[pick.count, pick.due_by].append(pick.endpoint_id)
    found = (
        run(_alike(), {"ids": batches.listed(session, ids), "room": count, "due_by": due_by, "now": now}).scalars()
        for (count, due_by), ids in alike.items()
    )
    return list(chain.from_iterable(found))


_WANTED = {"id": Integer(), "room": Integer(), "due_by": _INSTANT}


@cache
def _of_all() -> Executable:
    arrays = (bindparam(name, type_=ARRAY(kind)) for name, kind in _WANTED.items())
    each = func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in _WANTED.items()))
    rows = each.render_derived("wanted")
    due = _due(rows.c.id, rows.c.room, rows.c.due_by).lateral()
    return select(due.c.id).select_from(rows.join(due, true()))


@cache
def _alike() -> Executable:
    """So many of each of these endpoints."""
    each = func.json_each(bindparam("ids", type_=Text())).table_valued(column("value", Integer()), name="of")
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
    earlier, now = aliased(Delivery), bindparam("now", type_=_INSTANT)
    blocked = (
        select(earlier.id)
        .where(
            col(earlier.endpoint_id) == Delivery.endpoint_id,
            col(earlier.notification_id) == Delivery.notification_id,
            col(earlier.status) == DeliveryStatus.PENDING.value,
            col(earlier.revision) >= 1,
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
            col(Delivery.endpoint_id) == endpoint_id, PENDING, col(Delivery.next_attempt_at) <= due_by,
            unclaimed(now), ~blocked,
        )
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
        .limit(room)
    )  # fmt: skip


def next_due(session: Session, endpoint_ids: Sequence[int], now: datetime) -> dict[int, datetime | None]:
    """The next attempt by schedule, or the first lease to end; null when neither is to come."""
    if not endpoint_ids:
        return {}
    first = [
        select(func.min(moment)).where(col(Delivery.endpoint_id) == EndpointRow.id, PENDING, moment > now)
        for moment in (col(Delivery.next_attempt_at), col(Delivery.claimed_until))
    ]
    found = session.execute(
        select(EndpointRow.id, *(query.scalar_subquery() for query in first)).where(
            col(EndpointRow.id).in_(endpoint_ids)
        )
    ).all()
    return {endpoint_id: min((moment for moment in moments if moment), default=None) for endpoint_id, *moments in found}
