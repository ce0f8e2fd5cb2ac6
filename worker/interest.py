"""What an endpoint wants to hear of (INTERFACE, section 1: `sources`, `types`, `kinds`, `statuses`). Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_OF_NOTIFICATIONS = "notification."


@dataclass(frozen=True, slots=True)
class Interest:
    """An endpoint's filters, None: all, and the format it wants. `types` and `kinds` are shell wildcards.

    `latest`: of a notification's pending revisions it wants the newest alone.
    """

    endpoint: str
    types: tuple[str, ...] = ("notification.*",)
    sources: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    format: str = "standard"
    latest: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """What a message is about, as far as filters look at it."""

    type: str
    source: str | None = None
    kind: str | None = None
    status: str | None = None


def unwanted(interest: Interest, topic: Topic) -> str | None:
    """Which filter keeps this message from the endpoint; None: it is wanted.

    `kinds` and `statuses` are those of notifications: an operational message has neither, and passes.
    """
    about_one = topic.type.startswith(_OF_NOTIFICATIONS)
    checks = (
        ("types", _matches(interest.types, topic.type)),
        ("sources", topic.source is None or interest.sources is None or topic.source in interest.sources),
        ("kinds", not about_one or interest.kinds is None or _matches(interest.kinds, topic.kind or "")),
        ("statuses", not about_one or interest.statuses is None or topic.status in interest.statuses),
    )
    return next((name for name, passes in checks if not passes), None)


def objection(interest: Interest, topic: Topic) -> str | None:
    """The same in words: the filter as it is configured, and what it does not let pass; None: it is wanted."""
    name = unwanted(interest, topic)
    if name is None:
        return None
    passes, found = {
        "types": (interest.types, topic.type),
        "sources": (interest.sources, topic.source),
        "kinds": (interest.kinds, topic.kind),
        "statuses": (interest.statuses, topic.status),
    }[name]
    of = f"{name} = {json.dumps(passes, ensure_ascii=False)} doesn't match"
    return f"{of} {json.dumps(found, ensure_ascii=False)}" if found is not None else f"{of} a message without a kind"


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
