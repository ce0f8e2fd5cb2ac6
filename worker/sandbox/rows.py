"""Believable notifications of each provider, born and changed at random from a seed (PROVIDERS 1.5, 2.5, 3.5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from worker.notification import Status
from worker.sandbox.instants import micros, millis, seconds

Raw = Mapping[str, Any]

_NAMES = ("anchor", "birch", "cobalt", "delta", "ember", "fjord", "granite", "heron", "inlet", "juniper")
_DOMAINS = ("nl", "be", "com", "eu", "org")


@dataclass(frozen=True, slots=True)
class Grower:
    """How rows of one provider come to be: `born` gives an external id and its JSON, `changed` its next state."""

    born: Callable[[Random, int, datetime], tuple[str, Raw]]
    changed: Callable[[Random, Raw, datetime], tuple[Raw, Status]]


def _domain(random: Random, number: int) -> str:
    return f"{random.choice(_NAMES)}-{number}.{random.choice(_DOMAINS)}"


_REGISTRAR_KINDS: tuple[tuple[str, str, str], ...] = (
    ("TransferDomainEvent", "TransferDomainNotification", "Transfer of '{}' was requested"),
    ("CreateDomainEvent", "CreateDomainNotification", "Registration of '{}' was completed"),
    ("RenewDomainEvent", "RenewDomainNotification", "Domain '{}' was renewed"),
    ("DeleteDomainEvent", "DeleteDomainNotification", "Domain '{}' was deleted"),
    ("RegistryMaintenanceEvent", "RegistryMaintenanceNotification", "The registry of '{}' announces maintenance"),
)


def _registrar_born(random: Random, number: int, at: datetime) -> tuple[str, Raw]:
    identity = (1 << 32) - 20 + number * 3 + random.randrange(3)
    event, notification, text = random.choice(_REGISTRAR_KINDS)
    domain = _domain(random, number)
    raw: dict[str, Any] = {
        "id": identity,
        "fireDate": seconds(at),
        "message": text.format(domain),
        "customer": "sandbox",
        "process": 88_120_000 + number,
        "eventType": event,
        "notificationType": notification,
        "payload": {"domainName": domain, "transferType": None},
        "isAsync": True,
        "processIdentifier": domain,
        "processType": "domain",
        "subjectStatus": random.choice(("NEW", "PENDING", "COMPLETED", "")),
    }
    if not random.randrange(3):
        raw |= {"acknowledgeDate": None, "reason": "Requested by the holder", "labels": ["sandbox", number]}
    return str(identity), raw


def _registrar_changed(random: Random, raw: Raw, at: datetime) -> tuple[Raw, Status]:
    if raw.get("readDate") is None and random.randrange(2):
        return {**raw, "readDate": seconds(at)}, Status.READ
    changed = {**raw, "acknowledgeDate": seconds(at), "subjectStatus": "COMPLETED", "deliveryDate": seconds(at)}
    return changed, Status.RESOLVED


_LINE_ITEMS = ("gross_sales", "tips", "refunds", "gift_cards", "fees")
_BOOK_KINDS = ("mapping_required", "failed_journal_entry", "reconnect_required")


def _book_born(random: Random, number: int, at: datetime) -> tuple[str, Raw]:
    name, item, organization = random.choice(_BOOK_KINDS), random.choice(_LINE_ITEMS), random.randint(1, 3)
    label = item.replace("_", " ").title()
    attributes: dict[str, Any] = {
        "id": 100 + number,
        "organization_id": organization,
        "name": name,
        "data": {"line_item": item, "jeti_label": label},
        "created_at": millis(at),
        "ignored_at": None,
        "resolved_at": None,
        "organization_name": f"Café {random.choice(_NAMES).title()} BV",
        "type": name.replace("_", " ").title(),
        "state": "Pending",
        "formatted_created_at": at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "issue_details": f"<span>{label} &amp; more of <b>Example&nbsp;Pay</b> is not mapped</span>",
        "resolve_actions": "<p>Map the line item<br>or ignore it</p>",
    }
    return str(100 + number), {"id": str(100 + number), "type": "notification", "attributes": attributes}


def _book_changed(random: Random, raw: Raw, at: datetime) -> tuple[Raw, Status]:
    if not random.randrange(3):
        news: dict[str, Any] = {"state": "Ignored", "ignored_at": millis(at)}
        return {**raw, "attributes": {**raw["attributes"], **news}}, Status.IGNORED
    news = {"state": "Resolved", "resolved_at": millis(at)}
    return {**raw, "attributes": {**raw["attributes"], **news}}, Status.RESOLVED


_LADDER = {"CREATED": ("RECEIVED", "OPENED"), "RECEIVED": ("OPENED", "ACTION_TAKEN"), "OPENED": ("ACTION_TAKEN",)}
_STATUSES = {"RECEIVED": Status.RECEIVED, "OPENED": Status.READ, "ACTION_TAKEN": Status.RESOLVED}


def _push_born(random: Random, _: int, at: datetime) -> tuple[str, Raw]:
    identity = str(UUID(int=random.getrandbits(128), version=4))
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    raw: dict[str, Any] = {
        "id": identity,
        "availableUntilDate": seconds(midnight + timedelta(days=30)),
        "status": "CREATED",
        "createdOn": micros(at),
    }
    if random.randrange(3):
        raw |= {"updatedOn": micros(at), "events": [{"type": "CREATED", "timestamp": micros(at)}]}
    return identity, raw


def _push_changed(random: Random, raw: Raw, at: datetime) -> tuple[Raw, Status]:
    word = random.choice(_LADDER.get(raw["status"], ("ACTION_TAKEN",)))
    event = {"type": word, "timestamp": micros(at)}
    if word == "ACTION_TAKEN":
        event["action"] = random.choice(("Accept", "Details"))
    changed = {**raw, "status": word, "updatedOn": micros(at), "events": [*raw.get("events", ()), event]}
    return changed, _STATUSES[word]


GROWERS: Mapping[str, Grower] = {
    "realtime_register": Grower(_registrar_born, _registrar_changed),
    "bookkeep": Grower(_book_born, _book_changed),
    "govapp": Grower(_push_born, _push_changed),
}
"""By provider slug."""
