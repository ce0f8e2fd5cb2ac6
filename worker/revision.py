"""Is this copy of a notification worth telling? Pure: what was known and what was read in, a revision or None out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from worker.errors import ItemRejected
from worker.notification import Normalised, Outlined, Status, is_open, rfc3339

DEEPEST_ITEM = 100
"""Levels of nesting in an item; a deeper one can't be kept safely."""

_HOLDING = frozenset({dict, list})
_LOOKED_INTO = _HOLDING | {type(None)}
_NAMED = hashlib.sha1(UUID("7f1c3a52-5d0e-5b7e-9a57-70c51a000000").bytes, usedforsecurity=False)


class MessageType(StrEnum):
    """What a message says (INTERFACE, section 4)."""

    CREATED = "notification.created"
    UPDATED = "notification.updated"
    WITHDRAWN = "notification.withdrawn"
    EXPIRED = "notification.expired"
    SOURCE_FAILING = "source.failing"
    SOURCE_RECOVERED = "source.recovered"
    ENDPOINT_FAILING = "endpoint.failing"
    ENDPOINT_DISABLED = "endpoint.disabled"
    TEST = "tocsin.test"


@dataclass(frozen=True, slots=True)
class Known:
    """What the store has of a notification: enough to tell a change from a repetition."""

    content_hash: str
    revision: int
    message_id: str
    status: Status
    updated_at: datetime | None


class Revision(NamedTuple):
    """One state of a notification that is to be told. `message_id` is its `webhook-id`."""

    item: Normalised
    number: int
    type: MessageType
    previous_status: Status | None
    message_id: str


def revise(source: str, item: Normalised, known: Known | None) -> Revision | None:
    """The next revision, or None where there is nothing to tell.

    An older copy never reopens what is closed: a change needs a newer `updated_at` for that (POLLING, section 4). What
    was not known and was read because it changed is told as a change (CLARIFICATIONS, 7).
    """
    if known is None:
        kind = MessageType.UPDATED if item.changed else MessageType.CREATED
        return _revision(source, item.if_new or item, 1, kind, None)
    if known.content_hash == item.content_hash or _reopened_by_older_copy(item, known):
        return None
    expired = item.notification.status is Status.EXPIRED and known.status is not Status.EXPIRED
    kind = MessageType.EXPIRED if expired else MessageType.UPDATED
    return _revision(source, item, known.revision + 1, kind, known)


def ended(source: str, item: Normalised, known: Known, kind: MessageType) -> Revision:
    """The revision that says that a notification was withdrawn, or has expired (CLARIFICATIONS, 6)."""
    return _revision(source, item, known.revision + 1, kind, known)


@lru_cache(maxsize=1024)  # a page's rows, messages and deliveries ask for the same ones
def notification_id(source: str, external_id: str) -> UUID:
    """The same for the same notification, even after the database was lost (INTERFACE, section 4)."""
    named = _NAMED.copy()  # as uuid5 makes them, from a namespace that was hashed already
    named.update(f"{source}\n{external_id}".encode())
    return UUID(bytes=named.digest()[:16], version=5)


def content_hash(notification: Outlined, volatile: frozenset[str]) -> str:
    """Hex of all that a change of which is an update: the raw item without nulls and volatile members, status, events.

    Absent and null are the same (PROVIDERS, 0.2 rule 7). The canonical fields follow from these, so that a better
    mapping in a later version of ours is not taken for a change at the provider's. Raises ItemRejected for an item that
    is nested too deeply.
    """
    happened = notification.events
    events = [(event.type, rfc3339(event.at), event.action) for event in happened] if happened else []
    raw = notification.raw
    if volatile and not volatile.isdisjoint(raw):
        raw = {name: member for name, member in raw.items() if name not in volatile}
    return hashlib.sha256(_canonical([notification.status, events, _without_nulls(raw, DEEPEST_ITEM - 2)])).hexdigest()


def _revision(source: str, item: Normalised, number: int, kind: MessageType, known: Known | None) -> Revision:
    follows = known.message_id if known else ""
    message_id = _message_id(source, item.notification.external_id, kind, item.content_hash, follows)
    return Revision(item, number, kind, known.status if known else None, message_id)


def _message_id(*parts: str) -> str:
    """From the content and what it followed: the same state again is a new message, a lost one is made anew."""
    return "msg_" + hashlib.sha256(_canonical(parts)).hexdigest()[:40]


def _reopened_by_older_copy(item: Normalised, known: Known) -> bool:
    status = item.notification.status
    if is_open(known.status, item.closed) or status in item.closed or status is known.status:
        return False
    newer = item.notification.updated_at and known.updated_at and item.notification.updated_at > known.updated_at
    return not newer


def _without_nulls(value: Mapping[str, Any], levels: int) -> dict[str, Any]:
    """An object without the members that are null, in it and in those that it holds; so many levels may follow."""
    kept = dict(value)
    for name, member in value.items():
        kind = type(member)
        if kind is str:
            continue  # as most are
        if member is None:
            del kept[name]
        elif kind in _HOLDING:
            kept[name] = _held(member, levels)
    return kept


def _held(value: Any, levels: int) -> Any:
    if value and not levels:  # the deepest may be there, and empty
        raise ItemRejected(f"it is nested more than {DEEPEST_ITEM} levels deep")
    if type(value) is dict:
        return value if _LOOKED_INTO.isdisjoint(map(type, value.values())) else _without_nulls(value, levels - 1)
    if _HOLDING.isdisjoint(map(type, value)):
        return value
    return [_held(member, levels - 1) if type(member) in _HOLDING else member for member in value]


def _canonical(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits and lone surrogates, which JSON allows
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
