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
from worker.store import forms, overtaken, owed, receivers
from worker.store.notifications import Stored
from worker.store.owed import Share, Shares
from worker.store.receivers import Receiver, wake
from worker.store.tables import Delivery

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
    endpoints = receivers.named(session, [interest.endpoint for interest in interests])
    known = [interest for interest in interests if interest.endpoint in endpoints]
    shares = _shares(stream, stored.revisions, known, endpoints)
    messages = [_message(stream, revision, stored.first_seen_at, now) for revision in stored.revisions]
    owed.tell(session, messages, shares, now)
    forms.seal_owed(session, shares, {endpoints[each.endpoint].id: each.format for each in known})
    latest = {endpoints[each.endpoint].id for each in known if each.latest}
    theirs = {each for share, ids in shares.items() if latest.intersection(share.endpoints) for each in ids}
    later = [
        notification_id(stream.source, revision.item.notification.external_id)
        for revision in stored.revisions
        if revision.number > 1 and revision.message_id in theirs
    ]
    if later:
        overtaken.skip(session, sorted(latest), col(Delivery.notification_id).in_(later), now)
    return _due(shares)


def _shares(
    stream: Stream, revisions: Sequence[Revision], known: Sequence[Interest], endpoints: Mapping[str, Receiver]
) -> Shares:
    """Whom each revision's message is owed to, and who wants it but doesn't get it; those alike together."""
    split: dict[tuple[str | None, ...], list[Share]] = {}
    shares: dict[Share, list[str]] = {}
    for revision in revisions:
        notification = revision.item.notification
        reason = _skipped_because(stream, revision)
        about = (revision.type, notification.kind, notification.status, reason)
        if about not in split:
            topic = Topic(revision.type, stream.source, notification.kind, notification.status)
            split[about] = _split([endpoints[each.endpoint] for each in known if not unwanted(each, topic)], reason)
        for share in split[about]:
            shares.setdefault(share, []).append(revision.message_id)
    return shares


def _split(wanting: Sequence[Receiver], reason: str | None) -> list[Share]:
    """Those of them that are disabled get nothing, for that reason if for no other."""
    why = {row.id: reason or (DISABLED if row.disabled_at else None) for row in wanting}
    return [
        Share(tuple(identity for identity in sorted(why) if why[identity] == each), each)
        for each in dict.fromkeys(why[identity] for identity in sorted(why))
    ]


@dataclass(frozen=True, slots=True)
class Notice:
    """An operational message, sealed: what it tells of is no notification. `formats`: those that are asked for."""

    type: MessageType
    source_id: int | None
    body: bytes
    formats: frozenset[str] = frozenset()


def owe_notice(session: Session, notice: Notice, endpoints: Sequence[str], now: datetime) -> int:
    """Keep the message, and owe it to these endpoints. Returns the deliveries now due."""
    identity = f"msg_{uuid4().hex}"
    message = {
        "id": identity, "type": notice.type.value, "source_id": notice.source_id, "notification_id": None,
        "revision": 1, "kind": None, "status": None, "body": notice.body, "created_at": now,
    }  # fmt: skip
    wanting = list(receivers.named(session, endpoints).values())
    shares = {share: [identity] for share in _split(wanting, None)}
    owed.tell(session, [message], shares, now)
    forms.seal_all(session, [identity], notice.formats)
    return _due(shares)


def _due(shares: Shares) -> int:
    """How many deliveries are now due."""
    return sum(len(share.endpoints) * len(ids) for share, ids in shares.items() if not share.reason)


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


def _skipped_because(stream: Stream, revision: Revision) -> str | None:
    if revision.item.notification.external_id in stream.silent:
        return BACKFILL
    occurred_at = revision.item.notification.occurred_at
    old = stream.start_at and occurred_at and occurred_at < stream.start_at
    return BEFORE_START if old and revision.type is MessageType.CREATED else None


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
