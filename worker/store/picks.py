"""Picks: which of an endpoint's deliveries are due, in the order in which they go out (DELIVERY, sections 1 and 4)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import ARRAY, ColumnElement, Integer, bindparam, column, func, literal, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from worker.delivery import DeliveryStatus
from worker.store.tables import Delivery, EndpointRow

PENDING = col(Delivery.status) == DeliveryStatus.PENDING.value
_INSTANT = Delivery.__table__.c.next_attempt_at.type  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Pick:
    """So many of an endpoint's deliveries that are due by then."""

    endpoint_id: int
    count: int
    due_by: datetime


def unclaimed(now: datetime) -> ColumnElement[bool]:
    """Nobody has it, or not any more."""
    return or_(col(Delivery.claimed_until).is_(None), col(Delivery.claimed_until) <= now)


def picked(session: Session, wanted: Sequence[Pick], now: datetime) -> Sequence[int | None]:
    """The ids of due deliveries of each endpoint, the longest waiting first.

    SQLite knows no LATERAL, nor a LIMIT for each row; there it is a statement for all endpoints that get as much.
    """
    if session.get_bind().dialect.name == "postgresql":
        columns = {"id": Integer(), "room": Integer(), "due_by": _INSTANT}
        values = zip(*((pick.endpoint_id, pick.count, pick.due_by) for pick in wanted), strict=True)
        arrays = [bindparam(None, list(each), ARRAY(kind)) for each, kind in zip(values, columns.values(), strict=True)]
        each = func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in columns.items()))
        rows = each.render_derived("wanted")
        due = _due(rows.c.id, rows.c.room, rows.c.due_by, now).lateral()
        return session.scalars(select(due.c.id).select_from(rows.join(due, true()))).all()
    alike: dict[tuple[int, datetime], list[int]] = defaultdict(list)
    for pick in wanted:
        alike[pick.count, pick.due_by].append(pick.endpoint_id)
    return [identity for (count, due_by), ids in alike.items() for identity in _alike(session, ids, count, due_by, now)]


def _alike(
    session: Session, endpoint_ids: Sequence[int], count: int, due_by: datetime, now: datetime
) -> Sequence[int | None]:
    """So many of each of these endpoints."""
    each = func.json_each(orjson.dumps(endpoint_ids).decode()).table_valued(column("value", Integer()), name="of")
    picked_one = aliased(Delivery)
    its = _due(each.c.value, literal(count), literal(due_by, _INSTANT), now)
    found = select(col(picked_one.id)).select_from(each.join(picked_one, col(picked_one.id).in_(its.correlate(each))))
    return session.connection().execute(found).scalars().all()


def _due(
    endpoint_id: ColumnElement[int], room: ColumnElement[int], due_by: ColumnElement[datetime], now: datetime
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
