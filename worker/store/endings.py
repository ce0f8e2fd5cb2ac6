"""Revisions that no item tells of: what the provider no longer has, and what was never closed in time."""

import hashlib
import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from worker.notification import Event, Normalised, Notification, Status
from worker.revision import Known, MessageType, content_hash, ended
from worker.store.notifications import COPIED, Stored
from worker.store.tables import NotificationRow


def withdraw(session: Session, source_id: int, source: str, external_ids: Collection[str], now: datetime) -> Stored:
    """The provider no longer has these; they keep their last status (CLARIFICATIONS, 6)."""
    rows = _followed(session, source_id, external_ids)
    for row in rows:
        row.withdrawn_at = now
    return _end(session, source, rows, MessageType.WITHDRAWN, frozenset())


def expire(
    session: Session, source_id: int, source: str, external_ids: Collection[str], volatile: frozenset[str]
) -> Stored:
    """These are past their date, or were not closed in the time for which they are followed.

    One that is reopened by a newer copy has all of that time before it again.
    """
    rows = _followed(session, source_id, external_ids)
    for row in rows:
        row.tracked_since = None
    return _end(session, source, rows, MessageType.EXPIRED, volatile)


def expired(notification: Notification, volatile: frozenset[str]) -> Normalised:
    """The notification as it is once its time is over, whatever its provider says of it."""
    over = notification._replace(status=Status.EXPIRED)
    return Normalised(over, content_hash(over, volatile))


def _end(
    session: Session, source: str, rows: list[NotificationRow], kind: MessageType, volatile: frozenset[str]
) -> Stored:
    revisions = []
    for row in rows:
        revision = ended(source, _ended_item(row, kind, volatile), _known(row), kind)
        row.revision, row.message_id = revision.number, revision.message_id
        row.content_hash, row.status = revision.item.content_hash, revision.item.notification.status.value
        row.bucket_id, row.followed, row.absences = None, False, 0
        revisions.append(revision)
    session.flush()
    return Stored(tuple(revisions), {row.external_id: row.first_seen_at for row in rows})


def _ended_item(row: NotificationRow, kind: MessageType, volatile: frozenset[str]) -> Normalised:
    """Expired: as the item would be read now, so that reading it again is no change. Withdrawn: as no item is read."""
    notification = notification_of(row)
    if kind is MessageType.EXPIRED:
        return expired(notification, volatile)
    return Normalised(notification, hashlib.sha256(f"withdrawn {row.content_hash}".encode()).hexdigest())


def _known(row: NotificationRow) -> Known:
    return Known(row.content_hash, row.revision, row.message_id, Status(row.status), row.updated_at)


def notification_of(row: NotificationRow) -> Notification:
    """The stored notification, as it was read."""
    copied: dict[str, Any] = {name: getattr(row, name) for name in COPIED}
    events = tuple(_event(event) for event in json.loads(row.events))
    return Notification(**copied, status=Status(row.status), events=events, raw=json.loads(row.raw))


def _event(stored: dict[str, Any]) -> Event:
    at = datetime.fromisoformat(stored["at"]) if stored["at"] else None
    return Event(stored["type"], at, stored.get("action"))


def _followed(session: Session, source_id: int, external_ids: Collection[str]) -> list[NotificationRow]:
    """Those of them that are followed still, locked in the order that all keep."""
    if not external_ids:
        return []
    row = NotificationRow
    found = select(row).where(col(row.source_id) == source_id, col(row.external_id).in_(list(external_ids)))
    locked = found.where(col(row.followed)).order_by(col(row.id)).with_for_update(key_share=True)
    return list(session.exec(locked).all())
