"""Retention: what is closed or gone, delivered and old goes, in small batches (INTERFACE, section 1, [retention]).

A batch looks at so many rows at most, by an index and from where the last one ended, and is a short transaction: no
table is locked, and nobody is waited for. What another transaction holds is left to the next day, so that two who prune
at once are harmless, and nothing is taken from under a redelivery or a replay. Killed, what is committed is gone, and
whoever is next goes on.

Partitions by time were measured beside it (benchmarks/retention.py; README, "Operating it"). For attempts and the
ledger they are far quicker to drop, and cost nothing at insert; but these are a fifth of the time that pruning takes.
The rest can't go by age alone, primary keys would have to hold the time, and SQLite has none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, or_, text
from sqlmodel import Session, SQLModel, col, select

from worker.delivery import DeliveryStatus, Trigger
from worker.store.session import Database
from worker.store.tables import (
    Attempt,
    BackfillRow,
    BackfillWindow,
    Delivery,
    Form,
    Message,
    NotificationRow,
    PollRun,
    RejectedRow,
    Replay,
    TokenRow,
)

AT_ONCE, WHOLE_AT_ONCE = 1000, 250
"""Rows that a batch looks at; fewer where each goes with all that hangs on it."""
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
"""A batch finds its rows by index, whatever PostgreSQL believes of tables that it has not analysed lately."""


class Gone(NamedTuple):
    """What a batch took: so many of what."""

    what: str
    rows: int


class _Mark(NamedTuple):
    """The last row that was looked at."""

    at: datetime
    id: Any


@dataclass(frozen=True, slots=True)
class _Walk:
    """Through a table's rows of before an instant, oldest first. `take` deletes what may go of these ids."""

    model: type[SQLModel]
    at: Any
    id: Any
    before: datetime
    take: Callable[[Session, "_Walk", Sequence[Any]], int]
    at_once: int = AT_ONCE

    def next(self, session: Session, mark: _Mark | None) -> list[_Mark]:
        """The next rows; also those that are kept, so that no batch takes long where much is."""
        rows = select(self.id, self.at).where(self.at < self.before)
        if mark:
            rows = rows.where(self.at >= mark.at, or_(self.at > mark.at, self.id > mark.id))
        found = session.execute(rows.order_by(self.at, self.id).limit(self.at_once)).all()
        return [_Mark(at, identity) for identity, at in found]

    def held(self, session: Session, ids: Sequence[Any], *conditions: ColumnElement[bool]) -> list[Any]:
        """Those of them that are still old, and that nobody else holds; from here on we do."""
        mine = select(self.id).where(self.id.in_(ids), self.at < self.before, *conditions)
        return list(session.execute(mine.with_for_update(skip_locked=True)).scalars())


def prune(database: Database, notifications_before: datetime, attempts_before: datetime) -> Iterator[Gone]:
    """Delete what was first seen, or attempted, before these; what went, after each commit. Stop whenever you like.

    What is pending or exhausted stays, with all that hangs on it. The ledger, and what is finished or run out of
    backfills, replays and tokens, is kept as long as attempts; rejected items as long as notifications.
    """
    for what, walk in _walks(notifications_before, attempts_before).items():
        mark: _Mark | None = None
        looked_at = walk.at_once
        while looked_at == walk.at_once:
            with database.transaction() as session:
                if session.get_bind().dialect.name == "postgresql":
                    session.execute(text(_BY_INDEX))
                found = walk.next(session, mark)
                rows = walk.take(session, walk, [each.id for each in found]) if found else 0
            looked_at, mark = len(found), found[-1] if found else None
            yield Gone(what, rows)


def _walks(notifications_before: datetime, attempts_before: datetime) -> Mapping[str, _Walk]:
    def walk(at: Any, identity: Any, before: datetime, take: Any = _rows, at_once: int = AT_ONCE) -> _Walk:
        return _Walk(at.class_, col(at), col(identity), before, take, at_once)

    def whole(at: Any, identity: Any, take: Any) -> _Walk:
        return walk(at, identity, notifications_before, take, WHOLE_AT_ONCE)

    return {
        "attempts": walk(Attempt.started_at, Attempt.id, attempts_before),
        "poll_runs": walk(PollRun.started_at, PollRun.id, attempts_before),
        "notifications": whole(NotificationRow.first_seen_at, NotificationRow.id, _notifications),
        "messages": whole(Message.created_at, Message.id, _messages),
        "rejected": walk(RejectedRow.last_seen_at, RejectedRow.id, notifications_before),
        "backfills": walk(BackfillRow.done_at, BackfillRow.id, attempts_before, _backfills),
        "replays": walk(Replay.finished_at, Replay.id, attempts_before),
        "tokens": walk(TokenRow.expires_at, TokenRow.fingerprint, attempts_before),
    }


def _rows(session: Session, walk: _Walk, ids: Sequence[Any]) -> int:
    """Rows that nothing hangs on."""
    held = walk.held(session, ids)
    session.execute(delete(walk.model).where(walk.id.in_(held)))
    return len(held)


def _backfills(session: Session, walk: _Walk, ids: Sequence[Any]) -> int:
    session.execute(delete(BackfillWindow).where(col(BackfillWindow.backfill_id).in_(ids)))
    return _rows(session, walk, ids)


def _notifications(session: Session, walk: _Walk, ids: Sequence[Any]) -> int:
    """What is neither open nor owed, with all of its revisions. What the provider has withdrawn is not open."""
    closed = or_(~col(NotificationRow.followed), col(NotificationRow.withdrawn_at).is_not(None))
    held = walk.held(session, ids, closed)
    gone = _free(session, col(Delivery.notification_id), held, _kept())
    gone = _free(session, col(Message.notification_id), gone)
    if not gone:
        return 0
    _delete_messages(session, col(Message.notification_id).in_(gone), col(Delivery.notification_id).in_(gone))
    session.execute(delete(NotificationRow).where(walk.id.in_(gone)))
    return len(gone)


def _messages(session: Session, walk: _Walk, ids: Sequence[Any]) -> int:
    """Operational messages, which belong to no notification."""
    held = walk.held(session, ids, col(Message.notification_id).is_(None))
    gone = _free(session, col(Delivery.message_id), held, _kept())
    _delete_messages(session, col(Message.id).in_(gone), col(Delivery.message_id).in_(gone))
    return len(gone)


def _kept() -> ColumnElement[bool]:
    """What is still to be sent, and what was given up: nothing deletes that (INTERFACE, section 4), save tests."""
    status, no_test = col(Delivery.status), col(Delivery.trigger) != Trigger.TEST.value
    return or_(status == DeliveryStatus.PENDING.value, and_(status == DeliveryStatus.EXHAUSTED.value, no_test))


def _free(session: Session, owner: Any, ids: Sequence[Any], kept: ColumnElement[bool] | None = None) -> list[Any]:
    """Those of the owners all of whose rows may go, and are held by nobody else; from here on we hold them.

    Counted and not named: of these rows there may be more than a statement takes parameters.
    """
    its = owner.in_(ids)
    held = select(owner.label("owner")).where(its, ~kept if kept is not None else its)
    rows = held.with_for_update(skip_locked=True).subquery()
    ours = _counts(session, select(rows.c.owner, func.count()).group_by(rows.c.owner))
    there = _counts(session, select(owner, func.count()).where(its).group_by(owner))
    return [identity for identity in ids if ours.get(identity) == there.get(identity)]


def _counts(session: Session, query: Any) -> dict[Any, int]:
    return dict(session.execute(query).all())


def _delete_messages(session: Session, messages: ColumnElement[bool], deliveries: ColumnElement[bool]) -> None:
    """These messages and all that hangs on them."""
    session.execute(delete(Attempt).where(col(Attempt.delivery_id).in_(select(Delivery.id).where(deliveries))))
    session.execute(delete(Delivery).where(deliveries))
    session.execute(delete(Form).where(col(Form.message_id).in_(select(Message.id).where(messages))))
    session.execute(delete(Message).where(messages))
