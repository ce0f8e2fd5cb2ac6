"""Replays: a range of messages owed to an endpoint again, a portion a transaction (INTERFACE, section 3).

How far it is stands in its row, and moves in the commit that owes a portion: whoever goes on owes nothing twice. The
row is locked before the endpoint, so that two who go on at once take turns.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import and_, delete, func
from sqlmodel import Session, col, select

from worker.interest import Interest, Topic, unwanted
from worker.store import owing
from worker.store.owing import MISSING
from worker.store.tables import Delivery, EndpointRow, Message, Replay, Source

PORTION = 1000
_ROW = Replay


class Standing(StrEnum):
    """What became of a message at an endpoint; `missing`: it was never owed there."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    SKIPPED = "skipped"
    MISSING = MISSING


@dataclass(frozen=True, slots=True)
class Asked:
    """A range as it is asked for: messages made from `since` until before `until`; None: up to now.

    `standing`: those alone of which this became at the endpoint; None: all.
    """

    since: datetime
    until: datetime | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a replay is. `until`: before this the last message was made; `owed` of `total` are owed so far."""

    id: int
    since: datetime
    until: datetime
    total: int
    owed: int
    begun_at: datetime
    done: bool


def survey(session: Session, interest: Interest, asked: Asked, now: datetime) -> Counter[Standing]:
    """How many messages of the range an endpoint wants, by what became of them. One statement, however many there are.

    Wildcards are matched here: there are few kinds, and databases match differently.
    """
    endpoint_id = _endpoint(session, interest.endpoint).id or 0
    row, ours = Message, and_(col(Delivery.message_id) == Message.id, col(Delivery.endpoint_id) == endpoint_id)
    groups = (col(row.type), col(Source.name), col(row.kind), col(row.status), col(Delivery.status))
    counted = (
        select(*groups, func.count())  # type: ignore[call-overload]
        .join(Source, col(Source.id) == col(row.source_id), isouter=True)
        .join(Delivery, ours, isouter=True)
        .where(col(row.created_at) >= asked.since, col(row.created_at) < _end(asked, now))
        .group_by(*groups)
    )
    found = Counter[Standing]()
    for kind, source, of, status, became, count in session.execute(counted).all():
        standing = Standing(became or MISSING)
        if asked.standing in {None, standing} and not unwanted(interest, Topic(kind, source, of, status)):
            found[standing] += count
    return found


def unfinished(session: Session, endpoint: str, asked: Asked) -> Extent | None:
    """The replay of just this range that was begun and not finished, if there is one."""
    row = _unfinished(session, _endpoint(session, endpoint).id or 0, asked)
    return _extent(row) if row else None


def begin(session: Session, endpoint: str, asked: Asked, total: int, now: datetime) -> Extent:
    """The unfinished replay of just this range, or a new one, of so many messages.

    A new one takes the place of those of the endpoint that are finished.
    """
    endpoint_id = _endpoint(session, endpoint, lock=True).id or 0
    row = _unfinished(session, endpoint_id, asked)
    if row is None:
        over = delete(_ROW).where(col(_ROW.endpoint_id) == endpoint_id, col(_ROW.finished_at).is_not(None))
        session.execute(over)
        row = _ROW(
            endpoint_id=endpoint_id, since_at=asked.since, until_at=asked.until or now,
            status=asked.standing and asked.standing.value, total=total, created_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
    return _extent(row)


def go_on(session: Session, replay_id: int, interest: Interest, most: int, now: datetime) -> Extent | None:
    """Owe the next portion, of about `most` messages, and remember how far it is. None: it was finished, and forgotten.

    What the endpoint wants is what it wants now.
    """
    locked = select(_ROW).where(col(_ROW.id) == replay_id).with_for_update()
    row = session.exec(locked.execution_options(populate_existing=True)).first()
    if row is None or row.finished_at:
        return _extent(row) if row else None
    walk = owing.Walk(row.since_at, _upto(row), row.done_at, row.done_id)
    portion = owing.portion(session, walk, most)
    wanted = [each for each in portion.messages if not unwanted(interest, each.topic)]
    row.owed += owing.owe_again(session, row.endpoint_id, wanted, owing.Again(row.status, interest.format, now))
    row.done_at, row.done_id = portion.done_at, portion.done_id
    row.finished_at = now if portion.last else None
    session.flush()
    return _extent(row)


def _endpoint(session: Session, name: str, *, lock: bool = False) -> EndpointRow:
    row = select(EndpointRow).where(col(EndpointRow.name) == name)
    return session.exec(row.with_for_update(key_share=True) if lock else row).one()


def _unfinished(session: Session, endpoint_id: int, asked: Asked) -> Replay | None:
    """One that was asked for without an end has the moment of its beginning for it."""
    end = col(_ROW.until_at)
    same_end = end == col(_ROW.created_at) if asked.until is None else end == asked.until
    standing = col(_ROW.status)
    same = standing.is_(None) if asked.standing is None else standing == asked.standing.value
    query = select(_ROW).where(
        col(_ROW.endpoint_id) == endpoint_id, col(_ROW.finished_at).is_(None), col(_ROW.since_at) == asked.since,
        same_end, same,
    )  # fmt: skip
    return session.exec(query.order_by(col(_ROW.id))).first()


def _end(asked: Asked, now: datetime) -> datetime:
    return min(asked.until or now, now)


def _upto(row: Replay) -> datetime:
    """What is made after it was begun is owed anyway."""
    return min(row.until_at, row.created_at)


def _extent(row: Replay) -> Extent:
    return Extent(
        row.id or 0, row.since_at, _upto(row), row.total, row.owed, row.created_at, row.finished_at is not None
    )
