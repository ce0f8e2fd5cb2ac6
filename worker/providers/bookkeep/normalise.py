"""Bookkeep's items in our words (PROVIDERS, section 2.11). Pure."""

from datetime import datetime

from worker.errors import ItemRejected
from worker.notification import Item, Notification, Status
from worker.providers.bookkeep.schema import STATES, attribute, row_id
from worker.rest.plain import plain
from worker.rest.reading import checked, instant, latest, lines, text


def normalise(item: Item) -> Notification:
    """The item by the mapping table. Raises ItemRejected without a usable id."""
    item = checked(item)
    identity = row_id(item)
    if identity is None:
        raise ItemRejected("it has no usable id")
    name = text(attribute(item, "name"))
    created, ignored, resolved = (_instant(item, at) for at in ("created_at", "ignored_at", "resolved_at"))
    status = _status(item)
    organization = text(attribute(item, "organization_id"))
    return Notification(
        external_id=identity,
        kind=name,
        title=text(attribute(item, "type")) or (name and lines(name.replace("_", " "))) or name,
        status=status,
        provider_status=text(attribute(item, "state")),
        subject_type="organization" if organization else None,
        subject_id=organization,
        message="\n".join(filter(None, (plain(attribute(item, part)) for part in ("issue_details", "resolve_actions"))))
        or None,
        occurred_at=created,
        updated_at=latest(created, ignored, resolved),
        closed_at={Status.RESOLVED: resolved, Status.IGNORED: ignored}.get(status),
        raw=item,
    )


def _status(item: Item) -> Status:
    """The state where it is a known word; else what the dates say, even one that can't be read (section 2.10)."""
    known = STATES.get(text(attribute(item, "state")) or "")
    if known is not None:
        return known
    if text(attribute(item, "resolved_at")):
        return Status.RESOLVED
    return Status.IGNORED if text(attribute(item, "ignored_at")) else Status.NEW


def _instant(item: Item, name: str) -> datetime | None:
    """A time without a zone means nothing: the items hold local times of organizations as well (section 2.5)."""
    return instant(attribute(item, name))
