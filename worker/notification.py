"""A notification: an item of any provider, in our words (PROVIDERS, section 0.1)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

_SECONDS, _MILLIS, _MICROS = 19, 23, 26
"""Characters of an instant that is as precise as that."""

Item = Mapping[str, Any]
"""One raw record, as the provider sent it: a JSON object."""


class Status(StrEnum):
    """What a notification's state means to a receiver, whatever the provider calls it."""

    NEW = "new"
    RECEIVED = "received"
    READ = "read"
    RESOLVED = "resolved"
    IGNORED = "ignored"
    EXPIRED = "expired"


CLOSED = frozenset({Status.RESOLVED, Status.IGNORED})
"""The statuses that are closed, unless a provider's contract says otherwise; EXPIRED always is."""


def is_open(status: Status, closed: Collection[Status]) -> bool:
    """Whether a notification of that status may still change, where those statuses are closed."""
    return status is not Status.EXPIRED and status not in closed


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a provider's own history of a notification; `at` is null when the provider's text is no time."""

    type: str
    at: datetime | None
    action: str | None = None


class Notification(NamedTuple):
    """One item, normalised. Every instant is aware and UTC; no text at all is None, never "" (CLARIFICATIONS, 18).

    A tuple, as what else is made for each row of a page: a frozen dataclass takes three times as long to be made.
    """

    external_id: str
    kind: str | None
    title: str | None
    status: Status
    raw: Item
    provider_status: str | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    message: str | None = None
    reason: str | None = None
    occurred_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    read_at: datetime | None = None
    closed_at: datetime | None = None
    provider_delivered_at: datetime | None = None
    correlation_id: str | None = None
    events: tuple[Event, ...] = ()


class Outline(NamedTuple):
    """Of a notification, what tells whether it is new or has changed, and how far a reading has come.

    Of a page's items most are known and as they were, and need no more than this.
    """

    external_id: str
    status: Status
    occurred_at: datetime | None
    raw: Item
    events: tuple[Event, ...] = ()


Outlined = Outline | Notification
"""Either will do; who has the whole need not say it twice."""


class Normalised(NamedTuple):
    """A notification and the hash of all of it but the volatile fields: equal hashes, nothing to tell.

    `closed`: the statuses that are closed at its provider; EXPIRED always is. `if_new`: what it is stored as where it
    was not known, if that is something else. `changed`: it was read because it changed, so where it was not known it is
    told as a change.
    """

    notification: Notification
    content_hash: str
    closed: frozenset[Status] = CLOSED
    if_new: "Normalised | None" = None
    changed: bool = False

    @property
    def open(self) -> bool:
        """Whether its state may still change, so that it is looked at again."""
        return is_open(self.notification.status, self.closed)


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """An item that can't be normalised, with the reason; kept raw, whatever JSON it was."""

    raw: Any
    reason: str


def rfc3339(instant: datetime | None) -> str | None:
    """UTC with `Z`, as precise as it was given: seconds, milliseconds or microseconds (INTERFACE, section 4)."""
    return None if instant is None else _written(instant)


@lru_cache(maxsize=1024)  # a row has the same one twice or more, and all of a page's the one at which they were read
def _written(instant: datetime) -> str:
    written = (instant if instant.tzinfo is UTC else instant.astimezone(UTC)).isoformat()
    micros = instant.microsecond
    return f"{written[: _SECONDS if micros == 0 else _MILLIS if micros % 1000 == 0 else _MICROS]}Z"
