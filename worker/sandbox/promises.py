"""Did everything arrive that was published, exactly as promised (INTERFACE, section 4)? Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from worker.sandbox.ledger import Row
from worker.sandbox.receiver import Received

Key = tuple[str, str]
"""A source's name and an external id."""

_AGAIN = frozenset({"notification.withdrawn", "notification.expired"})
_PREFIX = "notification."


@dataclass(frozen=True, slots=True)
class Tally:
    """What was published and what arrived, at one endpoint.

    `states`: all that the rows ever were, of which a poller sees at least the last of each row, and can't tell apart
    those between two polls. `revisions`: different messages accepted; `duplicates`: the same message accepted again.
    """

    rows: int
    states: int
    notifications: int
    revisions: int
    duplicates: int
    attempts: int


@dataclass(frozen=True, slots=True)
class _Message:
    """The first acceptance of a message, with what the promises are about."""

    key: Key
    webhook_id: str
    type: str
    number: int
    status: str
    raw: Any
    from_at: datetime
    to_at: datetime


def tally(published: Mapping[str, Sequence[Row]], received: Sequence[Received]) -> Tally:
    """The counts. `published` is by source name; `received` of one endpoint."""
    accepted = [one for one in received if one.accepted and one.verified]
    messages = _messages(accepted)
    rows = [row for of_source in published.values() for row in of_source]
    return Tally(
        rows=len(rows),
        states=sum(len(row.states) for row in rows),
        notifications=len({message.key for message in messages}),
        revisions=len(messages),
        duplicates=len(accepted) - len({one.webhook_id for one in accepted}),
        attempts=len(received),
    )


def broken_promises(
    published: Mapping[str, Sequence[Row]], received: Sequence[Received], *, withdrawals: bool = False
) -> list[str]:
    """A line for each promise that was not kept; empty if all is as promised.

    Rows that are still hidden by a delay, or that were withdrawn, need not have arrived. Two changes of a row between
    two polls are seen as one: so the last state must have arrived, and each that arrived must be one that the row
    really had, in their order. Duplicates are no fault, if their bytes are equal. With `withdrawals`, a withdrawn row
    that was told of must have ended with that message.
    """
    rows = {(source, row.external_id): row for source, of_source in published.items() for row in of_source}
    messages = _messages([one for one in received if one.accepted and one.verified])
    by_key: dict[Key, list[_Message]] = {}
    for message in messages:
        by_key.setdefault(message.key, []).append(message)
    return [
        *_unsound(received),
        *(f"{_name(key)}: nobody published it" for key in by_key if key not in rows),
        *(line for key, row in rows.items() for line in _broken(key, row, by_key.get(key, []))),
        *(line for key, row in rows.items() for line in _end(key, row, by_key.get(key, []), withdrawals=withdrawals)),
    ]


def _unsound(received: Sequence[Received]) -> Iterator[str]:
    bodies: dict[str, bytes] = {}
    for one in received:
        if not one.verified:
            yield f"{one.webhook_id or 'a request'}: signature: {one.refusal}"
        if bodies.setdefault(one.webhook_id, one.body) != one.body:
            yield f"{one.webhook_id}: its bytes differ from those before"


def _broken(key: Key, row: Row, messages: Sequence[_Message]) -> Iterator[str]:
    numbers = [message.number for message in messages]
    if numbers != sorted(numbers):
        yield f"{_name(key)}: revisions arrived in the order {numbers}"
    if len(set(numbers)) < len(numbers):
        yield f"{_name(key)}: a revision was told under two ids: {numbers}"
    if any(later.from_at < earlier.to_at for earlier, later in pairwise(messages)):
        yield f"{_name(key)}: two revisions were sent at the same time"
    yield from _untrue(key, row, messages)


def _end(key: Key, row: Row, messages: Sequence[_Message], *, withdrawals: bool) -> Iterator[str]:
    told = bool(messages) and messages[-1].type == "notification.withdrawn"
    if row.withdrawn_at is None and told:
        yield f"{_name(key)}: it was told withdrawn, and is not"
    elif row.withdrawn_at is None and not any(message.raw == row.raw for message in messages[-1:]):
        yield f"{_name(key)}: its last state, {row.state.status} since {row.state.since}, has not arrived"
    elif row.withdrawn_at is not None and messages and withdrawals and not told:
        yield f"{_name(key)}: it was withdrawn at {row.withdrawn_at}, which was never told"


def _untrue(key: Key, row: Row, messages: Sequence[_Message]) -> Iterator[str]:
    """States that the row never had, or had before what was told already; its first message must be its creation."""
    reached = -1
    for message in messages:
        if (message.type == "notification.created") is not (message.number == 1):
            yield f"{_name(key)}: revision {message.number} says {message.type}"
        first = max(reached, 0) if message.type in _AGAIN else reached + 1
        found = next((at for at in range(first, len(row.states)) if row.states[at].raw == message.raw), None)
        if found is None:
            yield f"{_name(key)}: revision {message.number} is no state that it had then"
            continue
        reached = found
        if message.type not in _AGAIN and message.status != row.states[found].status:
            yield f"{_name(key)}: revision {message.number} says {message.status}, not {row.states[found].status}"


def _messages(accepted: Iterable[Received]) -> list[_Message]:
    """The notification messages in the order of their first acceptance; operational ones are left out."""
    first: dict[str, Received] = {}
    for one in accepted:
        first.setdefault(one.webhook_id, one)
    contents = [(one, one.content) for one in first.values()]
    return [_message(one, content) for one, content in contents if content["type"].startswith(_PREFIX)]


def _message(one: Received, content: Mapping[str, Any]) -> _Message:
    body = content["data"]
    return _Message(
        key=(body["source"], body["external_id"]),
        webhook_id=one.webhook_id,
        type=content["type"],
        number=body["revision"],
        status=body["status"],
        raw=body["raw"],
        from_at=one.arrived_at,
        to_at=one.ended_at or one.arrived_at,
    )


def _name(key: Key) -> str:
    return f"{key[0]}/{key[1]}"
