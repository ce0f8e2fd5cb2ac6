"""The outbox: messages, and the deliveries owed for them, in the same commit as what they tell of (DESIGN, rule 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import exists, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus, Trigger
from worker.envelope import Origin, seal
from worker.interest import Interest, Topic, unwanted
from worker.revision import MessageType, Revision, notification_id
from worker.store import forms, overtaken
from worker.store.notifications import Stored
from worker.store.session import upsert
from worker.store.tables import Delivery, EndpointRow, Message

BEFORE_START = "before start_at"
DISABLED = "endpoint disabled"
BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Stream:
    """The source that revisions come from, as far as messages tell of it.

    `silent`: the external ids that a backfill stores without telling of them.
    """

    source_id: int
    source: str
    provider: str
    start_at: datetime | None
    silent: frozenset[str] = frozenset()


def owe(session: Session, stream: Stream, stored: Stored, interests: Sequence[Interest], now: datetime) -> int:
    """Seal a message for each revision, and owe it to every endpoint that wants it. Returns the deliveries now due.

    What an endpoint wants but does not get has a row that says why: `skipped`, with its reason.
    """
    if not stored.revisions:
        return 0
    session.execute(
        upsert(session, Message).on_conflict_do_nothing(index_elements=["id"]),
        [_message(stream, revision, stored.first_seen_at, now) for revision in stored.revisions],
    )
    endpoints = _endpoints(session, [interest.endpoint for interest in interests])
    rows = [
        _delivery(stream, revision, endpoints[interest.endpoint], now)
        for revision in stored.revisions
        for interest in interests
        if interest.endpoint in endpoints and not unwanted(interest, _topic(stream, revision))
    ]
    formats = {endpoints[each.endpoint].id or 0: each.format for each in interests if each.endpoint in endpoints}
    forms.seal_owed(session, rows, formats)
    due = _owe(session, rows, now)
    latest = [endpoints[each.endpoint].id or 0 for each in interests if each.latest and each.endpoint in endpoints]
    later = [row["notification_id"] for row in rows if row["revision"] > 1 and row["endpoint_id"] in latest]
    if later:
        overtaken.skip(session, latest, col(Delivery.notification_id).in_(later), now)
    return due


@dataclass(frozen=True, slots=True)
class Notice:
    """An operational message, sealed: what it tells of is no notification. `formats`: those that are asked for."""

    type: MessageType
    source_id: int | None
    body: bytes
    formats: frozenset[str] = frozenset()


def owe_notice(session: Session, notice: Notice, endpoints: Sequence[str], now: datetime) -> int:
    """Keep the message, and owe it to these endpoints. Returns the deliveries now due."""
    message = Message(
        id=f"msg_{uuid4().hex}", type=notice.type.value, source_id=notice.source_id, revision=1, body=notice.body,
        created_at=now,
    )  # fmt: skip
    session.add(message)
    session.flush()
    forms.seal_all(session, [message.id], notice.formats)
    rows = [_owed(message, endpoint, now) for endpoint in _endpoints(session, endpoints).values()]
    return _owe(session, rows, now)


def _owed(message: Message, endpoint: EndpointRow, now: datetime) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "endpoint_id": endpoint.id,
        "notification_id": None,
        "revision": message.revision,
        "status": (DeliveryStatus.SKIPPED if endpoint.disabled_at else DeliveryStatus.PENDING).value,
        "reason": DISABLED if endpoint.disabled_at else None,
        "trigger": Trigger.FIRST.value,
        "next_attempt_at": None if endpoint.disabled_at else now,
        "created_at": now,
    }


def _owe(session: Session, rows: Sequence[dict[str, Any]], now: datetime) -> int:
    if not rows:
        return 0
    session.execute(
        upsert(session, Delivery).on_conflict_do_nothing(index_elements=["message_id", "endpoint_id"]), list(rows)
    )
    pending = [row["endpoint_id"] for row in rows if row["status"] == DeliveryStatus.PENDING]
    wake(session, set(pending), now)
    return len(pending)


def wake(session: Session, endpoint_ids: set[int], now: datetime) -> None:
    """These endpoints have something due; the next claim looks at them.

    It locks them, in the order that all keep: notifications, endpoints by id, deliveries.
    """
    if endpoint_ids:
        ours = col(EndpointRow.id).in_(sorted(endpoint_ids))
        in_order = select(EndpointRow.id).where(ours).order_by(col(EndpointRow.id)).with_for_update(key_share=True)
        session.exec(in_order).all()
        session.execute(update(EndpointRow).where(ours).values(due_at=now))


def _endpoints(session: Session, names: Sequence[str]) -> Mapping[str, EndpointRow]:
    rows = session.exec(select(EndpointRow).where(col(EndpointRow.name).in_(names))).all()
    return {row.name: row for row in rows}


def _topic(stream: Stream, revision: Revision) -> Topic:
    notification = revision.item.notification
    return Topic(revision.type, stream.source, notification.kind, notification.status)


def _message(stream: Stream, revision: Revision, first_seen: Mapping[str, datetime], now: datetime) -> dict[str, Any]:
    notification = revision.item.notification
    identity = notification_id(stream.source, notification.external_id)
    origin = Origin(stream.source, stream.provider, identity, first_seen[notification.external_id])
    return {
        "id": revision.message_id,
        "type": revision.type.value,
        "source_id": stream.source_id,
        "notification_id": identity,
        "revision": revision.number,
        "kind": notification.kind,
        "status": notification.status.value,
        "body": seal(revision, origin, now),
        "created_at": now,
    }


def _delivery(stream: Stream, revision: Revision, endpoint: EndpointRow, now: datetime) -> dict[str, Any]:
    reason = _skipped_because(stream, revision, endpoint)
    return {
        "message_id": revision.message_id,
        "endpoint_id": endpoint.id,
        "notification_id": notification_id(stream.source, revision.item.notification.external_id),
        "revision": revision.number,
        "status": (DeliveryStatus.SKIPPED if reason else DeliveryStatus.PENDING).value,
        "reason": reason,
        "trigger": Trigger.FIRST.value,
        "next_attempt_at": None if reason else now,
        "created_at": now,
    }


def _skipped_because(stream: Stream, revision: Revision, endpoint: EndpointRow) -> str | None:
    if revision.item.notification.external_id in stream.silent:
        return BACKFILL
    occurred_at = revision.item.notification.occurred_at
    if revision.type is MessageType.CREATED and stream.start_at and occurred_at and occurred_at < stream.start_at:
        return BEFORE_START
    return DISABLED if endpoint.disabled_at else None


def redeliver(session: Session, delivery_ids: Sequence[int], now: datetime) -> list[int]:
    """Owe these again, now, with a whole schedule before them. Returns those that exist; an open request stays open.

    Their endpoints are locked first, as in a claim.
    """
    owners = select(Delivery.endpoint_id).where(col(Delivery.id).in_(delivery_ids)).distinct()
    wake(session, set(session.exec(owners).all()), now)
    again = (
        update(Delivery)
        .where(col(Delivery.id).in_(delivery_ids))
        .values(
            status=DeliveryStatus.PENDING.value, reason=None, trigger=Trigger.REDELIVERY.value, round=0,
            next_attempt_at=now,
        )
        .returning(col(Delivery.id))
    )  # fmt: skip
    return sorted(identity for identity in session.execute(again).scalars() if identity)


def owe_after_all(session: Session, notification_ids: Sequence[UUID], now: datetime) -> int:
    """Owe what was skipped of these for lying in the past, as a backfill is asked to. Returns the deliveries now due.

    Not where a later revision was owed meanwhile: an older one never arrives after it.
    """
    later = aliased(Delivery)
    overtaken = exists().where(
        col(later.notification_id) == Delivery.notification_id,
        col(later.endpoint_id) == Delivery.endpoint_id,
        col(later.revision) > Delivery.revision,
        col(later.status) != DeliveryStatus.SKIPPED.value,
    )
    skipped = select(Delivery.id).where(
        col(Delivery.notification_id).in_(notification_ids),
        col(Delivery.status) == DeliveryStatus.SKIPPED.value,
        col(Delivery.reason).in_([BEFORE_START, BACKFILL]),
        ~overtaken,
    )
    owed = [identity for identity in session.exec(skipped) if identity]
    return len(redeliver(session, owed, now)) if owed else 0
