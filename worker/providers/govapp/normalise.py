"""GovApp's items in our words (PROVIDERS, section 3.11). Pure."""

from datetime import UTC, datetime

from worker.errors import ItemRejected
from worker.notification import Event, Item, Notification, Status
from worker.providers.govapp.schema import (
    ACTION_TAKEN,
    CREATED_ON,
    EVENTS,
    KIND,
    OPENED,
    STATES,
    TITLE,
    row_id,
)
from worker.rest.reading import checked, earliest, instant, latest, member, text

_LAST = datetime.max.replace(tzinfo=UTC)


def normalise(item: Item, now: datetime) -> Notification:
    """The item by the mapping table; `now` decides what has expired. Raises ItemRejected without a usable id."""
    item = checked(item)
    identity = row_id(item)
    if identity is None:
        raise ItemRejected("it has no usable id")
    created, updated, until = (_instant(item, name) for name in (CREATED_ON, "updatedOn", "availableUntilDate"))
    events = _events(member(item, EVENTS))
    word = text(member(item, "status"))
    return Notification(
        external_id=identity,
        kind=KIND,
        title=TITLE,
        status=_status(word, until, now),
        provider_status=word,
        occurred_at=created,
        updated_at=latest(created, updated, *(event.at for event in events)),
        expires_at=until,
        read_at=earliest(*(event.at for event in events if event.type == OPENED)),
        closed_at=earliest(*(event.at for event in events if event.type == ACTION_TAKEN)),
        events=events,
        raw=item,
    )


def _status(word: str | None, until: datetime | None, now: datetime) -> Status:
    """In this order: an action taken closes it, its end passes, and else its own word counts."""
    if word == ACTION_TAKEN:
        return Status.RESOLVED
    if until is not None and now > until:
        return Status.EXPIRED
    return STATES.get(word or "", Status.NEW)


def _events(value: object) -> tuple[Event, ...]:
    """Its history in order of time, exact duplicates dropped; those whose time can't be read come last."""
    listed = [event for entry in value if (event := _event(entry))] if isinstance(value, list) else []
    return tuple(sorted(dict.fromkeys(listed), key=lambda event: event.at or _LAST))


def _event(entry: object) -> Event | None:
    """An entry without a type says nothing; it stays in `raw`."""
    kind = text(member(entry, "type"))
    return Event(kind, _instant(entry, "timestamp"), text(member(entry, "action"))) if kind else None


def _instant(value: object, name: str) -> datetime | None:
    """A time without a zone means nothing: no zone is documented but the `Z` that the times have (section 3.7)."""
    return instant(member(value, name))
