"""Notifications: a page is one look-up of what is known and one upsert of what is new or changed (DESIGN, rule 9)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import case, func
from sqlalchemy.exc import DataError, IntegrityError, StatementError
from sqlmodel import Session, col, select

from worker.notification import Normalised, Notification, RejectedItem, Status, rfc3339
from worker.revision import Known, MessageType, Revision, notification_id, revise
from worker.store.session import is_passing
from worker.store.session import upsert as insert
from worker.store.tables import NotificationRow

_KEPT = frozenset({"id", "source_id", "external_id", "first_seen_at", "delivered_at"})


@dataclass(frozen=True, slots=True)
class Stored:
    """What a page came to: the revisions to be told, oldest first, when each was first seen, and what was refused."""

    revisions: tuple[Revision, ...]
    first_seen_at: dict[str, datetime]
    refused: tuple[RejectedItem, ...] = ()


def store_page(session: Session, source_id: int, source: str, items: Sequence[Normalised], now: datetime) -> Stored:
    """Store what is new or changed of a page. What the database refuses comes back as refused; the page goes on.

    Runs under the source's lease: nobody else writes this source's notifications meanwhile.
    """
    try:
        with session.begin_nested():
            return _store(session, source_id, source, items, now)
    except (DataError, IntegrityError, StatementError, UnicodeError) as refusal:
        if is_passing(refusal):
            raise
        if len(items) == 1:
            return Stored((), {}, (RejectedItem(items[0].notification.raw, _reason(refusal)),))
    halves = items[: len(items) // 2], items[len(items) // 2 :]
    first, second = (store_page(session, source_id, source, half, now) for half in halves)
    return Stored(
        first.revisions + second.revisions, first.first_seen_at | second.first_seen_at, first.refused + second.refused
    )


def _store(session: Session, source_id: int, source: str, items: Sequence[Normalised], now: datetime) -> Stored:
    known, first_seen = _known(session, source_id, {item.notification.external_id for item in items})
    revisions = []
    for item in items:
        external_id = item.notification.external_id
        if revision := revise(source, item, known.get(external_id)):
            revisions.append(revision)
            known[external_id] = _known_now(revision)
            first_seen.setdefault(external_id, now)
    latest = {revision.item.notification.external_id: revision for revision in revisions}
    if latest:
        rows = (_row(source_id, source, revision, now) for revision in latest.values())
        _write(session, sorted(rows, key=itemgetter("id")))  # locked in the order that recording keeps too
    return Stored(tuple(revisions), first_seen)


def _known(session: Session, source_id: int, external_ids: set[str]) -> tuple[dict[str, Known], dict[str, datetime]]:
    row = NotificationRow
    columns = (row.external_id, row.content_hash, row.revision, row.message_id, row.status, row.updated_at)
    found = session.execute(
        select(*columns, row.first_seen_at).where(  # type: ignore[call-overload]
            col(row.source_id) == source_id, col(row.external_id).in_(external_ids)
        )
    ).all()
    known = {
        name: Known(digest, number, message, Status(status), at)
        for name, digest, number, message, status, at, _ in found
    }
    return known, {line[0]: line[-1] for line in found}


def _known_now(revision: Revision) -> Known:
    notification = revision.item.notification
    return Known(
        revision.item.content_hash, revision.number, revision.message_id, notification.status, notification.updated_at
    )


def _write(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """A row whose time has changed leaves its bucket: it would be missed there."""
    statement = insert(session, NotificationRow)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in _KEPT}
    moved = statement.excluded["occurred_at"].is_distinct_from(col(NotificationRow.occurred_at))
    changed["tracked_since"] = func.coalesce(NotificationRow.tracked_since, statement.excluded["tracked_since"])
    changed["bucket_id"] = case((moved, None), else_=col(NotificationRow.bucket_id))
    session.execute(statement.on_conflict_do_update(index_elements=["source_id", "external_id"], set_=changed), rows)


def _row(source_id: int, source: str, revision: Revision, now: datetime) -> dict[str, Any]:
    item = revision.item.notification
    return {
        "id": notification_id(source, item.external_id),
        "source_id": source_id,
        "revision": revision.number,
        "content_hash": revision.item.content_hash,
        "message_id": revision.message_id,
        "status": item.status.value,
        "events": json.dumps(_events(item)),
        "raw": json.dumps(item.raw),
        "first_seen_at": now,
        "delivered_at": None,
        "followed": revision.item.open,
        "tracked_since": _tracked_since(revision, now),
        "withdrawn_at": None,
        "absences": 0,
        **{name: getattr(item, name) for name in COPIED},
    }


def _tracked_since(revision: Revision, now: datetime) -> datetime:
    """When it occurred, if that can be. One that was reopened, or is old and read because it changed, begins anew."""
    occurred_at = revision.item.notification.occurred_at
    fresh = revision.type is not MessageType.CREATED or revision.item.notification.status is Status.EXPIRED
    return now if fresh or occurred_at is None else min(occurred_at, now)


COPIED = (
    "external_id", "kind", "title", "provider_status", "subject_type", "subject_id", "message", "reason", "occurred_at",
    "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at", "correlation_id",
)  # fmt: skip


def _events(item: Notification) -> list[dict[str, str | None]]:
    return [{"type": event.type, "at": rfc3339(event.at), "action": event.action} for event in item.events]


def _reason(refusal: Exception) -> str:
    cause = getattr(refusal, "orig", None) or refusal
    return f"the database refuses it: {str(cause).splitlines()[0][:200]}"


def ids_of(revisions: Iterable[Revision]) -> set[str]:
    """The external ids of these revisions."""
    return {revision.item.notification.external_id for revision in revisions}
