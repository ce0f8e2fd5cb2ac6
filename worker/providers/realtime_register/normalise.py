"""Realtime Register's items in our words (PROVIDERS, section 1.11). Pure."""

import re
from datetime import UTC, datetime

from worker.errors import ItemRejected
from worker.notification import Item, Notification, Status
from worker.providers.realtime_register.schema import ACKNOWLEDGED, DELIVERED, FIRED, READ, row_id
from worker.rest.reading import checked, instant, latest, lines, member, text

_ENDING = re.compile(r"(Event|Notification)$")
_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_NAMED = (("domain", "domainName"), ("host", "hostName"), ("certificate", "certificateId"))


def normalise(item: Item) -> Notification:
    """The item by the mapping table. Raises ItemRejected without a usable id."""
    item = checked(item)
    identity = row_id(item)
    if identity is None:
        raise ItemRejected("it has no usable id")
    kind = text(member(item, "eventType")) or text(member(item, "notificationType"))
    fired, read, acknowledged = (_instant(item, name) for name in (FIRED, READ, ACKNOWLEDGED))
    subject_type, subject_id = _subject(item)
    return Notification(
        external_id=identity,
        kind=kind,
        title=kind and title(kind),
        status=_status(item),
        subject_type=subject_type,
        subject_id=subject_id,
        message=lines(member(item, "message")),
        reason=text(member(item, "reason")),
        occurred_at=fired,
        updated_at=latest(fired, read, acknowledged),
        read_at=read,
        closed_at=acknowledged,
        provider_delivered_at=_instant(item, DELIVERED),
        correlation_id=text(member(item, "process")),
        raw=item,
    )


def title(kind: str) -> str:
    """`TransferDomainEvent` → "Transfer domain"; a run of capitals is one word and stays as it is."""
    words = _WORD.findall(_ENDING.sub("", kind))
    if not words:
        return kind
    first, *rest = (word if word.isupper() and len(word) > 1 else word.lower() for word in words)
    return " ".join([first[:1].upper() + first[1:], *rest])


def _status(item: Item) -> Status:
    """A date that can't be read is a date all the same: what it says is that it happened."""
    if text(member(item, ACKNOWLEDGED)):
        return Status.RESOLVED
    return Status.READ if text(member(item, READ)) else Status.NEW


def _subject(item: Item) -> tuple[str | None, str | None]:
    """What it is about: the fields moved between top level and payload more than once (section 1.10)."""
    process_type, process = text(member(item, "processType")), text(member(item, "processIdentifier"))
    if process_type and process:
        return process_type, process
    for subject_type, name in _NAMED:
        named = text(member(item, name)) or text(member(member(item, "payload"), name))
        if named:
            return subject_type, named
    return None, process


def _instant(item: Item, name: str) -> datetime | None:
    """The API documents UTC (section 1.7), so a time without a zone is UTC."""
    return instant(member(item, name), zone=UTC)
