"""What lists show of notifications, deliveries and attempts (INTERFACE, section 3). Rows out, as JSON has them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlmodel import Session, col

from worker.delivery import DeliveryStatus
from worker.notification import rfc3339
from worker.store.tables import Attempt, Delivery, EndpointRow, Message, NotificationRow, RejectedRow, Source

_Columns = TypeVarTuple("_Columns")
_AT_ONCE = 1000  # a statement takes only so many parameters
_INSTANTS = ("occurred_at", "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list is narrowed to; None: not narrowed. Newest first; `limit` 0: all (CLARIFICATIONS, 14)."""

    source: str | None = None
    endpoint: str | None = None
    status: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


def notifications(session: Session, wanted: Filter) -> list[dict[str, Any]]:
    """Notifications by when they were first seen, each with its deliveries' statuses."""
    row = NotificationRow
    query = select(row, col(Source.name), col(Source.provider)).join(Source, col(Source.id) == col(row.source_id))
    conditions = [
        *_span(col(row.first_seen_at), wanted),
        *_equal((col(Source.name), wanted.source), (col(row.status), wanted.status)),
        *_kind(session, wanted.kind),
    ]
    newest = query.where(*conditions).order_by(col(row.first_seen_at).desc(), col(row.id))
    found = session.execute(_limited(newest, wanted.limit)).all()
    statuses = _statuses(session, [notification.id for notification, _, _ in found])
    return [_notification(*line) | {"deliveries": statuses.get(line[0].id, {})} for line in found]


def notification(session: Session, identity: UUID) -> dict[str, Any] | None:
    """One notification, its revisions, and its deliveries with their attempts; None: there is none."""
    query = select(NotificationRow, col(Source.name), col(Source.provider)).join(
        Source, col(Source.id) == col(NotificationRow.source_id)
    )
    found = session.execute(query.where(col(NotificationRow.id) == identity)).first()
    if found is None:
        return None
    messages = session.scalars(
        select(Message).where(col(Message.notification_id) == identity).order_by(col(Message.revision))
    ).all()
    owed = deliveries_where(session, col(Delivery.notification_id) == identity)
    attempts = _attempts(session, [delivery["id"] for delivery in owed])
    return _notification(*found) | {
        "deliveries": _statuses(session, [identity]).get(identity, {}),
        "revisions": [_revision(message) for message in messages],
        "delivery_rows": [row | {"attempt_rows": attempts.get(row["id"], [])} for row in reversed(owed)],
    }


def deliveries(session: Session, wanted: Filter) -> list[dict[str, Any]]:
    """Deliveries by when their message was made."""
    conditions = [
        *_span(col(Message.created_at), wanted),
        *_equal((col(EndpointRow.name), wanted.endpoint), (col(Delivery.status), wanted.status)),
    ]
    return deliveries_where(session, *conditions, limit=wanted.limit)


def deliveries_where(session: Session, *conditions: ColumnElement[bool], limit: int = 0) -> list[dict[str, Any]]:
    """Deliveries that meet the conditions, newest first."""
    query = (
        select(Delivery, col(Message.type), col(EndpointRow.name), col(Source.name), col(NotificationRow.external_id))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(EndpointRow, col(EndpointRow.id) == col(Delivery.endpoint_id))
        .join(Source, col(Source.id) == col(Message.source_id), isouter=True)
        .join(NotificationRow, col(NotificationRow.id) == col(Delivery.notification_id), isouter=True)
        .where(*conditions)
        .order_by(col(Delivery.id).desc())
    )
    return [_delivery(*line) for line in session.execute(_limited(query, limit)).all()]


def rejected(session: Session, wanted: Filter) -> list[dict[str, Any]]:
    """Rejected items, the newest first, as they were sent."""
    query = select(RejectedRow, col(Source.name)).join(Source, col(Source.id) == col(RejectedRow.source_id))
    query = query.where(*_span(col(RejectedRow.first_seen_at), wanted), *_equal((col(Source.name), wanted.source)))
    newest = query.order_by(col(RejectedRow.id).desc())
    return [
        {
            "id": row.id,
            "source": source,
            "reason": row.reason,
            "first_seen_at": rfc3339(row.first_seen_at),
            "last_seen_at": rfc3339(row.last_seen_at),
            "count": row.count,
            "raw": json.loads(row.raw),
        }
        for row, source in session.execute(_limited(newest, wanted.limit)).all()
    ]


def _notification(row: NotificationRow, source: str, provider: str) -> dict[str, Any]:
    subject = {"type": row.subject_type, "id": row.subject_id}
    return {
        "id": str(row.id),
        "source": source,
        "provider": provider,
        "external_id": row.external_id,
        "revision": row.revision,
        "kind": row.kind,
        "title": row.title,
        "status": row.status,
        "provider_status": row.provider_status,
        "subject": subject if any(subject.values()) else None,
        "message": row.message,
        "reason": row.reason,
        **{name: rfc3339(getattr(row, name)) for name in _INSTANTS},
        "first_seen_at": rfc3339(row.first_seen_at),
        "correlation_id": row.correlation_id,
        "events": [_event(event) for event in json.loads(row.events)],
        "raw": json.loads(row.raw),
        "delivered_at": rfc3339(row.delivered_at),
    }


def _event(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "action" or value is not None}


def _revision(message: Message) -> dict[str, Any]:
    return {
        "revision": message.revision,
        "message_id": message.id,
        "type": message.type,
        "status": message.status,
        "made_at": rfc3339(message.created_at),
    }


def _delivery(row: Delivery, kind: str, endpoint: str, source: str | None, external_id: str | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "message_id": row.message_id,
        "type": kind,
        "notification_id": str(row.notification_id) if row.notification_id else None,
        "source": source,
        "external_id": external_id,
        "revision": row.revision,
        "endpoint": endpoint,
        "status": row.status,
        "reason": row.reason,
        "attempts": row.attempts,
        "next_attempt_at": rfc3339(row.next_attempt_at) if row.status == DeliveryStatus.PENDING else None,
        "delivered_at": rfc3339(row.delivered_at),
        "last_outcome": row.last_outcome,
        "last_status_code": row.last_status_code,
    }


def _attempts(session: Session, delivery_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    query = select(Attempt).where(col(Attempt.delivery_id).in_(delivery_ids)).order_by(col(Attempt.id))
    shown: dict[int, list[dict[str, Any]]] = {}
    for row in session.scalars(query).all():
        shown.setdefault(row.delivery_id, []).append({
            "delivery_id": row.delivery_id,
            "number": row.number,
            "trigger": row.trigger,
            "started_at": rfc3339(row.started_at),
            "duration_ms": row.duration_ms,
            "outcome": row.outcome,
            "status_code": row.status_code,
            "response_excerpt": row.response_excerpt,
        })  # fmt: skip
    return shown


def _statuses(session: Session, identities: Iterable[UUID]) -> Mapping[UUID, dict[str, str]]:
    """The status of each notification's latest revision, by endpoint."""
    query = (
        select(col(Delivery.notification_id), col(EndpointRow.name), col(Delivery.status))
        .join(EndpointRow, col(EndpointRow.id) == col(Delivery.endpoint_id))
        .order_by(col(Delivery.revision))
    )
    shown: dict[UUID, dict[str, str]] = {}
    left = iter(identities)
    while some := list(islice(left, _AT_ONCE)):
        for identity, endpoint, status in session.execute(query.where(col(Delivery.notification_id).in_(some))).all():
            shown.setdefault(identity, {})[endpoint] = status
    return shown


def _kind(session: Session, pattern: str | None) -> list[ColumnElement[bool]]:
    """Shell wildcards, exactly as in an endpoint's `kinds`; there are few kinds, and databases match differently."""
    if pattern is None:
        return []
    kinds = session.scalars(select(col(NotificationRow.kind)).distinct()).all()
    return [col(NotificationRow.kind).in_([kind for kind in kinds if kind and fnmatchcase(kind, pattern)])]


def _span(column: Any, wanted: Filter) -> list[ColumnElement[bool]]:
    since = [] if wanted.since is None else [column >= wanted.since]
    until = [] if wanted.until is None else [column < wanted.until]
    return since + until


def _equal(*pairs: tuple[Any, object]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]


def _limited(query: Select[*_Columns], limit: int) -> Select[*_Columns]:
    return query.limit(limit) if limit else query
