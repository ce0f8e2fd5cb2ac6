"""An item in our words, by the expressions of a description (POLLING, section 8; PROVIDERS, section 0.1). Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from worker.errors import ItemRejected
from worker.notification import Item, Notification, Outline, Status
from worker.providers.described.times import Times
from worker.rest.plain import plain
from worker.rest.reading import checked, external_id, lines, text
from worker.settings import Description
from worker.settings.description import MapEntry, StatusEntry
from worker.settings.expression import finder

_INSTANTS = ("updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at")
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
        occurred_at = entries.occurred_at or (MapEntry(path=description.time.field) if description.time else None)
        self._occurred_at = _instant(occurred_at, times) if occurred_at else _never
        fields: dict[str, Callable[[Any], Any]] = {"kind": _never, "title": _never}
        for name in _TEXTS:
            entry: MapEntry | None = getattr(entries, name)
            if entry:
                fields[name] = _text(entry, multiline=name == "message")
        if entries.status and not entries.provider_status:
            fields["provider_status"] = _text(MapEntry(path=entries.status.path), multiline=False)
        for name in _INSTANTS:
            entry = getattr(entries, name)
            if entry:
                fields[name] = _instant(entry, times)
        self._fields = tuple(fields.items())

    def row_id(self, row: object) -> str | None:
        """A row's id; None where it has none that can be used."""
        return external_id(self._id(row))

    def outline(self, item: Item) -> Outline:
        """What the item's notification is known by. Raises ItemRejected without a usable id."""
        identity = external_id(self._id(item))
        if identity is None:
            raise ItemRejected("it has no usable id")
        return Outline(identity, self._status(item), self._occurred_at(item), item)

    def notification(self, item: Item) -> Notification:
        """The item by the map. Raises ItemRejected without a usable id, and for one that is nested too deeply."""
        return self.complete(self.outline(checked(item)))

    def complete(self, outline: Outline) -> Notification:
        """The item of an outline by the rest of the map. Its depth is sane."""
        identity, status, occurred_at, raw, _ = outline
        found = {name: read(raw) for name, read in self._fields}
        updated_at = found.get("updated_at")
        if occurred_at is not None and (updated_at is None or updated_at < occurred_at):
            found["updated_at"] = occurred_at
        return Notification(external_id=identity, status=status, occurred_at=occurred_at, raw=raw, **found)


def word(value: object) -> str | None:
    """A value as it is written under `values`: true and false are words as well."""
    if type(value) is str:
        return text(value)
    return str(value).lower() if isinstance(value, bool) else text(value)


def _text(entry: MapEntry, *, multiline: bool) -> Callable[[Any], str | None]:
    find, values = finder(entry.path), entry.values
    written = plain if entry.html else lines if multiline else word
    if not values:
        return lambda item: written(find(item))

    def read(item: Any) -> str | None:
        value = find(item)
        meant = values.get(word(value) or "")
        return written(value) if meant is None else meant

    return read


def _instant(entry: MapEntry, times: Times) -> Callable[[Any], datetime | None]:
    find, read = finder(entry.path), times.reader()
    return lambda item: read(find(item))


def _status(entry: StatusEntry) -> Callable[[Any], Status]:
    """By `values`; without them a word of ours is itself. Any other means `new`."""
    find, values = finder(entry.path), entry.values or _STATUSES
    exact = {said: status for said, status in values.items() if word(said) == said}

    def read(item: Any) -> Status:
        value = find(item)
        status = exact.get(value) if type(value) is str else None
        return status or values.get(word(value) or "", Status.NEW)

    return read


def _always_new(_: Any) -> Status:
    return Status.NEW


def _never(_: Any) -> None:
    """What no entry of the map names."""
