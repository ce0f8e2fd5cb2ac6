"""Notifications: a page is one look-up of what is known and one upsert of what is new or changed (DESIGN, rule 9)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, null
from sqlalchemy.exc import DataError, IntegrityError, StatementError
from sqlmodel import Session, col

from worker.envelope import json_text
from worker.notification import Normalised, Notification, RejectedItem, Status, rfc3339
from worker.revision import Known, MessageType, Revision, notification_id, revise
from worker.store import lookups
from worker.store.batches import put
from worker.store.lookups import Found
from worker.store.postgresql import back, mark
from worker.store.session import is_passing
from worker.store.tables import NotificationRow

_PARTS = 8
"""Into so many a page is cut to find what the database refuses of it: few tries for one row, not many for all."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a page came to: the revisions to be told, oldest first, when each was first seen, and what was refused."""

    revisions: tuple[Revision, ...]
    first_seen_at: dict[str, datetime]
    refused: tuple[RejectedItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Differing:
    """What of a source's page is not stored as it is given: by external id, what is stored; None: it is new."""

    source_id: int
    source: str
    found: Mapping[str, Found | None]

    def after(self, stored: Stored) -> "Differing":
        """With what is stored meanwhile."""
        now = {
            (name := _name(revision.item)): Found(_known_now(revision), stored.first_seen_at[name])
            for revision in stored.revisions
        }
        return replace(self, found={**self.found, **now})


def look_up(session: Session, source_id: int, source: str, items: Iterable[tuple[str, str]]) -> Differing:
    """What is new or different of these external ids and hashes. One that is given with two hashes differs from one."""
    given, hashes = list(items), dict[str, str]()
    hashes.update(given)
    if len(hashes) < len(given):
        hashes |= {name: "" for name, digest in given if hashes[name] != digest}
    return Differing(source_id, source, lookups.differing(session, source_id, hashes))


def store_page(session: Session, differing: Differing, items: Sequence[Normalised], now: datetime) -> Stored:
    """Store what is new or changed of a page. What the database refuses comes back as refused; the page goes on.

    Runs under the source's lease: nobody else writes this source's notifications meanwhile.
    """
    fresh = [item for item in items if _name(item) in differing.found]
    if not fresh:
        return Stored((), {})
    return _stored(session, differing, fresh, now)


def _stored(session: Session, differing: Differing, items: Sequence[Normalised], now: datetime) -> Stored:
    """Three foreign keys of a row are checked, and three of each of its deliveries: their plans are kept."""
    mark(session.connection())
    try:
        return _store(session, differing, items, now)
    except (DataError, IntegrityError, StatementError, ValueError) as refusal:
        if is_passing(refusal):
            raise
        back(session.connection())
        if len(items) == 1:
            return Stored((), {}, (RejectedItem(items[0].notification.raw, _reason(refusal)),))
    return _together(_in_parts(session, differing, items, now))


def _in_parts(session: Session, differing: Differing, items: Sequence[Normalised], now: datetime) -> Iterator[Stored]:
    size = -(-len(items) // _PARTS)
    for at in range(0, len(items), size):
        part = _stored(session, differing, items[at : at + size], now)
        differing = differing.after(part)
        yield part


def _together(given: Iterable[Stored]) -> Stored:
    parts = list(given)
    return Stored(
        tuple(revision for part in parts for revision in part.revisions),
        {name: at for part in parts for name, at in part.first_seen_at.items()},
        tuple(item for part in parts for item in part.refused),
    )


def _store(session: Session, differing: Differing, items: Sequence[Normalised], now: datetime) -> Stored:
    revisions, latest = [], dict[str, Revision]()
    for item in items:
        name = _name(item)
        before, told = differing.found[name], latest.get(name)
        known = _known_now(told) if told else before and before.known
        if revision := revise(differing.source, item, known):
            revisions.append(revision)
            latest[name] = revision
    if latest:
        put(session, NotificationRow, _rows(differing, latest.values(), now), _renewed)
    first_seen = {name: before.first_seen_at if (before := differing.found[name]) else now for name in latest}
    return Stored(tuple(revisions), first_seen)


def _name(item: Normalised) -> str:
    return item.notification.external_id


def _known_now(revision: Revision) -> Known:
    notification = revision.item.notification
    return Known(
        revision.item.content_hash, revision.number, revision.message_id, notification.status, notification.updated_at
    )


def _renewed(insert: Any) -> Any:
    """What is known gets the new revision. A row whose time has changed leaves its bucket: it would be missed there."""
    changed = {name: insert.excluded[name] for name in _WRITTEN if name != "external_id"}
    moved = insert.excluded["occurred_at"].is_distinct_from(col(NotificationRow.occurred_at))
    changed["tracked_since"] = func.coalesce(NotificationRow.tracked_since, insert.excluded["tracked_since"])
    changed["bucket_id"] = case((moved, null()), else_=col(NotificationRow.bucket_id))
    return insert.on_conflict_do_update(index_elements=["source_id", "external_id"], set_=changed)


def _rows(page: Differing, revisions: Iterable[Revision], now: datetime) -> list[dict[str, Any]]:
    """What is new as it is given, which suits most indexes; then what is locked, in the order that recording keeps too.

    Without the columns that are null in all of them.
    """
    told = sorted(revisions, key=lambda each: each.number > 1 and notification_id(page.source, _name(each.item)).int)
    items = [revision.item.notification for revision in told]
    places = [(name, at) for name, at in _PLACES if any(item[at] is not None for item in items)]
    return [
        _row(page, revision, now) | {name: item[at] for name, at in places}
        for revision, item in zip(told, items, strict=True)
    ]


def _row(page: Differing, revision: Revision, now: datetime) -> dict[str, Any]:
    item = revision.item.notification
    return {
        "id": notification_id(page.source, item.external_id),
        "source_id": page.source_id,
        "revision": revision.number,
        "content_hash": revision.item.content_hash,
        "message_id": revision.message_id,
        "status": item.status.value,
        "events": json_text(_events(item)) if item.events else "[]",
        "raw": json_text(item.raw),
        "first_seen_at": now,
        "followed": revision.item.open,
        "tracked_since": _tracked_since(revision, now),
        "absences": 0,
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

_PLACES = [(name, Notification._fields.index(name)) for name in COPIED]

_WRITTEN = (
    "revision", "content_hash", "message_id", "status", "events", "raw", "followed", "withdrawn_at", "absences",
    *COPIED,
)  # fmt: skip
"""The columns that a new revision changes, but for those that are worked out."""


def _events(item: Notification) -> list[dict[str, str | None]]:
    return [{"type": event.type, "at": rfc3339(event.at), "action": event.action} for event in item.events]


def _reason(refusal: Exception) -> str:
    cause = getattr(refusal, "orig", None) or refusal
    return f"the database refuses it: {str(cause).splitlines()[0][:200]}"


def ids_of(revisions: Iterable[Revision]) -> set[str]:
    """The external ids of these revisions."""
    return {revision.item.notification.external_id for revision in revisions}
