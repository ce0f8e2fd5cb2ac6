"""The commands: a line each, and where they are. What this lists loads when it is called, or asked for its own help."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Listed(NamedTuple):
    """A command: what is typed, `module:function` below worker.cli, and its docstring's first paragraph."""

    words: str
    where: str
    line: str


COMMANDS = (
    Listed(
        "init",
        "beginning:init",
        "Write a commented tocsin.toml, and a key for the secrets that are stored. Never overwrites.",
    ),
    Listed(
        "check",
        "inspection:check",
        "Read the configuration, ask each source for one page, and look up each endpoint's address. Exit 1 on failure.",
    ),
    Listed("migrate", "upkeep:migrate", "Bring the database to this version's schema."),
    Listed("run", "processes:run", "Poll and deliver, everything in one process, until SIGTERM or SIGINT."),
    Listed(
        "worker",
        "processes:worker",
        "One worker, for a Redis broker; any number of them. It polls and delivers until SIGTERM.",
    ),
    Listed(
        "beat",
        "processes:beat",
        "One scheduler, for a Redis broker; any number of them: a tick that comes twice makes no difference.",
    ),
    Listed(
        "metrics",
        "metrics:metrics",
        "Answer /metrics and /healthz on the configured address, until SIGTERM: for an installation of many processes.",
    ),
    Listed(
        "health",
        "health:health",
        "Database, broker, last looks for deliveries and for sources: a line each. Exit 1 if one is not well.",
    ),
    Listed("status", "status:status", "Sources and endpoints, and how they fare. Exit 1 if anything needs a person."),
    Listed(
        "poll",
        "sources:poll",
        "Poll one source now, in this process. Exit 1 if the provider refuses, or another process polls it.",
    ),
    Listed(
        "backfill",
        "backfill:backfill",
        "Read what a source's provider has of the past, and store it; nothing is sent of it unless --deliver.",
    ),
    Listed(
        "replay",
        "replay:replay",
        "Owe an endpoint again every message of a range that it wants, whatever became of it there.",
    ),
    Listed(
        "redeliver",
        "notifications:redeliver",
        "Try these deliveries again now; their numbers are those of `tocsin deliveries list`.",
    ),
    Listed("prune", "upkeep:prune", "Apply the configured retention: delete what is closed, delivered and old."),
    Listed(
        "rotate-key",
        "keys:rotate",
        "Seal all stored secrets anew, with the first key of TOCSIN_KEY; an embedded database's own key is replaced.",
    ),
    Listed(
        "demo",
        "beginning:demo",
        "Show it at work: three sandbox providers, a receiver, the real pipeline, on a temporary database.",
    ),
    Listed("sources list", "sources:list_sources", "Every configured source and how it fares."),
    Listed("sources pause", "sources:pause", "Poll it no more until it is resumed."),
    Listed("sources resume", "sources:resume", "Poll it again, at once."),
    Listed("endpoints list", "endpoints:list_endpoints", "Every configured endpoint and how it fares."),
    Listed(
        "endpoints secret",
        "endpoints:secret",
        "Print what its receiver verifies with, all that is in force, the newest first: secrets, or public keys.",
    ),
    Listed(
        "endpoints rotate",
        "endpoints:rotate",
        "Make a new secret. Messages are signed with both until the overlap has passed; running processes follow.",
    ),
    Listed(
        "endpoints test",
        "endpoints:test",
        "Send one signed tocsin.test message now, and print the answer. Exit 1 if it was not taken.",
    ),
    Listed("endpoints enable", "endpoints:enable", "Send to it again, what is pending at once."),
    Listed(
        "endpoints disable",
        "endpoints:disable",
        "Send nothing to it; what is pending waits, what is new is stored as skipped.",
    ),
    Listed(
        "notifications list",
        "notifications:list_notifications",
        "Notifications, those seen last first. TIMEs are when they were first seen.",
    ),
    Listed(
        "notifications show",
        "notifications:show",
        "One notification: its revisions, why each endpoint has each of them or hasn't, deliveries and their attempts.",
    ),
    Listed(
        "deliveries list",
        "notifications:list_deliveries",
        "Deliveries, the newest first. TIMEs are when the message was made.",
    ),
    Listed(
        "rejected list",
        "rejected:list_rejected",
        "Rejected items, the newest first; with --json as the provider sent them.",
    ),
    Listed(
        "rejected retry",
        "rejected:retry",
        "Run them through again, as after an update of Tocsin. Exit 1 if any is still rejected.",
    ),
)

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "sources": "Sources: list, pause, resume.",
        "endpoints": "Endpoints: list, secret, rotate, test, enable, disable.",
        "notifications": "Notifications: list, show.",
        "deliveries": "Deliveries: list.",
        "rejected": "Rejected items: list, retry.",
    }
)
