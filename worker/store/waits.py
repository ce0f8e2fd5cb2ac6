"""How long things took lately, as `status` shows it: the newest rows of a while, and never more than so many."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from worker.clocks import Spread, seen_after, spread
from worker.delivery import Trigger
from worker.store.tables import Attempt, Delivery, EndpointRow, NotificationRow, Source

AT_MOST = 5000
"""Rows that a look reads, the newest first; both are found by an index."""

_BY_HAND = (Trigger.REDELIVERY.value, Trigger.REPLAY.value, Trigger.TEST.value)
_ZERO = timedelta()


def seen(session: Session, since: datetime) -> dict[str, Spread | None]:
    """By source: from occurring to being seen, of what was seen first since then, and occurred once it was polled.

    A backfill reads what is older than that, and what it waited tells nothing.
    """
    row = NotificationRow
    query = (
        select(Source.name, Source.clock_offset_s, row.occurred_at, row.first_seen_at)
        .join(Source, col(Source.id) == col(row.source_id))
        .where(col(row.first_seen_at) >= since, col(row.occurred_at) >= col(Source.created_at))
        .order_by(col(row.first_seen_at).desc())
        .limit(AT_MOST)
    )
    found: dict[str, list[timedelta]] = defaultdict(list)
    for name, offset_s, occurred_at, seen_at in session.execute(query).all():
        found[name].append(seen_after(occurred_at, seen_at, timedelta(seconds=offset_s)))
    return _spread(found)


def sent(session: Session, since: datetime) -> dict[str, tuple[Spread | None, Spread | None]]:
    """By endpoint: from stored to the first attempt, and to delivered, of the attempts made since then.

    Without what was ever asked for by hand: there, the wait would be the asking's.
    """
    other = aliased(Attempt)
    by_hand = exists().where(col(other.delivery_id) == Delivery.id, col(other.trigger).in_(_BY_HAND))
    query = (
        select(  # type: ignore[call-overload]
            EndpointRow.name, Attempt.number, Attempt.started_at,
            Delivery.created_at, Delivery.attempts, Delivery.delivered_at,
        )
        .join(Delivery, col(Delivery.id) == col(Attempt.delivery_id))
        .join(EndpointRow, col(EndpointRow.id) == col(Delivery.endpoint_id))
        .where(col(Attempt.started_at) >= since, ~by_hand)
        .order_by(col(Attempt.started_at).desc())
        .limit(AT_MOST)
    )  # fmt: skip
    first: dict[str, list[timedelta]] = defaultdict(list)
    delivered: dict[str, list[timedelta]] = defaultdict(list)
    for name, number, started_at, stored_at, attempts, delivered_at in session.execute(query).all():
        if number == 1:
            first[name].append(max(_ZERO, started_at - stored_at))
        if delivered_at and number == attempts:
            delivered[name].append(max(_ZERO, delivered_at - stored_at))
    firsts, ends = _spread(first), _spread(delivered)
    return {name: (firsts.get(name), ends.get(name)) for name in firsts.keys() | ends.keys()}


def _spread(found: Mapping[str, list[timedelta]]) -> dict[str, Spread | None]:
    return {name: spread(waits) for name, waits in found.items()}
