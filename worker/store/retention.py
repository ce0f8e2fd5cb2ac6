"""Retention: what is closed or gone, delivered and old goes, in small batches (INTERFACE, section 1, [retention])."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus, Trigger
from worker.store.session import Database
from worker.store.tables import Attempt, Delivery, Form, Message, NotificationRow, PollRun

_BATCH = 500


def prune(database: Database, notifications_before: datetime, attempts_before: datetime) -> dict[str, int]:
    """Delete what was first seen, or attempted, before these; how many of each. What is pending or exhausted stays.

    The ledger's rows are kept as long as attempts.
    """
    steps: dict[str, Callable[[Session], int]] = {
        "attempts": lambda session: _old(session, Attempt, col(Attempt.started_at) < attempts_before),
        "poll_runs": lambda session: _old(session, PollRun, col(PollRun.started_at) < attempts_before),
        "notifications": lambda session: _old_notifications(session, notifications_before),
        "messages": lambda session: _old_messages(session, notifications_before),
    }
    return {name: _until_none_is_left(database, step) for name, step in steps.items()}


def _until_none_is_left(database: Database, step: Callable[[Session], int]) -> int:
    pruned = 0
    while True:
        with database.transaction() as session:
            gone = step(session)
        pruned += gone
        if gone < _BATCH:
            return pruned


def _old(session: Session, model: type[Attempt] | type[PollRun], old: Any) -> int:
    ids = session.exec(select(model.id).where(old).limit(_BATCH)).all()
    session.execute(delete(model).where(col(model.id).in_(ids)))
    return len(ids)


def _old_notifications(session: Session, before: datetime) -> int:
    row = NotificationRow
    waits = exists().where(col(Delivery.notification_id) == col(row.id), _kept())
    old = select(row.id).where(col(row.first_seen_at) < before, ~col(row.followed), ~waits)
    ids = session.exec(old.order_by(col(row.first_seen_at)).limit(_BATCH)).all()
    _delete_messages(session, col(Message.notification_id).in_(ids))
    session.execute(delete(row).where(col(row.id).in_(ids)))
    return len(ids)


def _old_messages(session: Session, before: datetime) -> int:
    """Operational messages, which belong to no notification."""
    waits = exists().where(col(Delivery.message_id) == col(Message.id), _kept())
    old = select(Message.id).where(col(Message.notification_id).is_(None), col(Message.created_at) < before, ~waits)
    ids = session.exec(old.limit(_BATCH)).all()
    _delete_messages(session, col(Message.id).in_(ids))
    return len(ids)


def _kept() -> ColumnElement[bool]:
    """What is still to be sent, and what was given up: nothing deletes that (INTERFACE, section 4), save tests."""
    status, no_test = col(Delivery.status), col(Delivery.trigger) != Trigger.TEST.value
    return or_(status == DeliveryStatus.PENDING.value, and_(status == DeliveryStatus.EXHAUSTED.value, no_test))


def _delete_messages(session: Session, which: ColumnElement[bool]) -> None:
    """These messages and all that hangs on them; of that there may be more than a statement takes parameters."""
    owed = col(Delivery.message_id).in_(select(Message.id).where(which))
    session.execute(delete(Attempt).where(col(Attempt.delivery_id).in_(select(Delivery.id).where(owed))))
    session.execute(delete(Delivery).where(owed))
    session.execute(delete(Form).where(col(Form.message_id).in_(select(Message.id).where(which))))
    session.execute(delete(Message).where(which))
