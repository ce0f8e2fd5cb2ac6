"""An item in our words, by the expressions of a description (POLLING, section 8; PROVIDERS, section 0.1). Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from worker.errors import ItemRejected
from worker.notification import Item, Notification, Status
from worker.providers.described.times import Times
from worker.rest.plain import plain
from worker.rest.reading import checked, external_id, latest, lines, text
from worker.settings import Description
from worker.settings.description import MapEntry, StatusEntry
from worker.settings.expression import finder

_INSTANTS = ("occurred_at", "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at")
_TEXTS = ("kind", "title", "provider_status", "subject_type", "subject_id", "message", "reason", "correlation_id")
_STATUSES = {status.value: status for status in Status}


class Translation:
    """A description's map, compiled once.

    Without an entry, `occurred_at` is the time that the list is filtered by, and `provider_status` the word that the
    status is read from.
    """

    def __init__(self, description: Description) -> None:
        times, entries = Times.of(description), description.map
        self._id = finder(description.id)
        self._status = _status(entries.status) if entries.status else _always_new
        self._fields: dict[str, Callable[[Any], Any]] = {}
        for name in _TEXTS:
            entry: MapEntry | None = getattr(entries, name)
            if entry:
                self._fields[name] = _text(entry, multiline=name == "message")
        if entries.status and not entries.provider_status:
            self._fields["provider_status"] = _text(MapEntry(path=entries.status.path), multiline=False)
        for name in _INSTANTS:
            entry = getattr(entries, name)
            if entry:
                self._fields[name] = _instant(entry, times)
        if description.time and not entries.occurred_at:
            self._fields["occurred_at"] = _instant(MapEntry(path=description.time.field), times)

    def row_id(self, row: object) -> str | None:
        """A row's id; None where it has none that can be used."""
        return external_id(self._id(row))

    def notification(self, item: Item) -> Notification:
        """The item by the map. Raises ItemRejected without a usable id."""
        item = checked(item)
        identity = self.row_id(item)
        if identity is None:
            raise ItemRejected("it has no usable id")
        found = {name: read(item) for name, read in self._fields.items()}
        known: tuple[datetime | None, ...] = (found.get("occurred_at"), found.get("updated_at"))
        found["updated_at"] = latest(*known)
        return Notification(
            external_id=identity,
            kind=found.pop("kind", None),
            title=found.pop("title", None),
            status=self._status(item),
            raw=item,
            **found,
        )


def word(value: object) -> str | None:
    """A value as it is written under `values`: true and false are words as well."""
    return str(value).lower() if isinstance(value, bool) else text(value)


def _text(entry: MapEntry, *, multiline: bool) -> Callable[[Any], str | None]:
    find, values = finder(entry.path), entry.values
    written = plain if entry.html else lines if multiline else word

    def read(item: Any) -> str | None:
        value = find(item)
        meant = values.get(word(value) or "") if values else None
        return written(value) if meant is None else meant

    return read


def _instant(entry: MapEntry, times: Times) -> Callable[[Any], datetime | None]:
    find = finder(entry.path)
    return lambda item: times.read(find(item))


def _status(entry: StatusEntry) -> Callable[[Any], Status]:
    """By `values`; without them a word of ours is itself. Any other means `new`."""
    find, values = finder(entry.path), entry.values or _STATUSES
    return lambda item: values.get(word(find(item)) or "", Status.NEW)


def _always_new(_: Any) -> Status:
    return Status.NEW
