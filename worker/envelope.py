"""The JSON shape of a message (INTERFACE, section 4). Sealed once: these bytes are stored, signed and sent."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from worker.notification import Event, Notification, Status, rfc3339
from worker.revision import MessageType, Revision

LARGEST_RAW = 256 * 1024
"""Bytes of a message over which `raw` is left out, and `raw_omitted` says so."""


class Origin(NamedTuple):
    """Where a notification comes from, and when we saw it first."""

    source: str
    provider: str
    notification_id: UUID
    first_seen_at: datetime


def seal(revision: Revision, origin: Origin, made_at: datetime) -> bytes:
    """The bytes of a revision's message; `raw` is null, and `raw_omitted` true, where they would pass 256 KiB.

    So it is with an item that is nested too deeply to be written. What the message says in our words is never cut: one
    that is too large without its `raw` goes out as it is, because a receiver can refuse it, but can't guess the rest.
    """
    content = content_of(revision.item.notification, origin, revision.number, revision.previous_status)
    try:
        body = encode(revision.type, made_at, content)
    except RecursionError:
        body = None
    if body is not None and len(body) <= LARGEST_RAW:
        return body
    return encode(revision.type, made_at, content | {"raw": None, "raw_omitted": True})


def encode(kind: MessageType, made_at: datetime, content: Mapping[str, Any]) -> bytes:
    """The envelope around `data`, for notifications and for operational messages alike."""
    return json_bytes({"type": kind, "timestamp": rfc3339(made_at), "data": content})


def content_of(
    notification: Notification, origin: Origin, revision: int, previous_status: Status | None
) -> dict[str, Any]:
    """The notification as JSON members, in the order that INTERFACE shows."""
    (
        external_id, kind, title, status, raw, provider_status, subject_type, subject_id, message, reason, occurred_at,
        updated_at, expires_at, read_at, closed_at, provider_delivered_at, correlation_id, events,
    ) = notification  # fmt: skip  # at once: to ask a tuple for its members one by one takes three times as long
    no_subject = subject_type is None and subject_id is None
    return {
        "id": str(origin.notification_id),
        "source": origin.source,
        "provider": origin.provider,
        "external_id": external_id,
        "revision": revision,
        "kind": kind,
        "title": title,
        "status": status,
        "previous_status": previous_status,
        "provider_status": provider_status,
        "subject": None if no_subject else {"type": subject_type, "id": subject_id},
        "message": message,
        "reason": reason,
        "occurred_at": occurred_at and rfc3339(occurred_at),
        "updated_at": updated_at and rfc3339(updated_at),
        "expires_at": expires_at and rfc3339(expires_at),
        "read_at": read_at and rfc3339(read_at),
        "closed_at": closed_at and rfc3339(closed_at),
        "provider_delivered_at": provider_delivered_at and rfc3339(provider_delivered_at),
        "first_seen_at": rfc3339(origin.first_seen_at),
        "correlation_id": correlation_id,
        "events": [_event(event) for event in events] if events else [],
        "raw": raw,
    }


def json_bytes(value: object) -> bytes:
    """Compact JSON in UTF-8; what orjson can't write (huge integers, lone surrogates) is written in ASCII escapes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def json_text(value: object) -> str:
    """JSON in ASCII escapes, which any database takes."""
    try:
        written = orjson.dumps(value)
    except TypeError:
        return json.dumps(value)
    return written.decode() if written.isascii() else json.dumps(value)


def _event(event: Event) -> dict[str, str | None]:
    shown: dict[str, str | None] = {"type": event.type, "at": rfc3339(event.at)}
    return shown if event.action is None else shown | {"action": event.action}
