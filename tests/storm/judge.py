"""What came of a storm: everything that was not as promised, and the figures. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tests.storm.plan import BEATS, LOSES_REQUESTS, WORKERS, Blow, Deed
from worker.sandbox import Received, broken_promises
from worker.sandbox.ledger import Row

SENDER: Final = "storm-sender"
"""The header in which each worker gives its name."""
ON_ITS_WAY: Final = timedelta(milliseconds=200)
"""A request that the receiver noticed so soon after the record was made may have been sent before that."""
TO_RECORD: Final = timedelta(seconds=1)
"""So long it may take from the answer to the record on a machine that is busy with a storm."""

Span = tuple[datetime, datetime]
Message = tuple[str, str]
"""An endpoint's path and a message's id."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery as the store has it in the end. `recorded_at`: when it was recorded as delivered, each time."""

    path: str
    webhook_id: str
    status: str
    recorded_at: tuple[datetime, ...] = ()

    @property
    def message(self) -> Message:
        """Which."""
        return self.path, self.webhook_id


@dataclass(frozen=True, slots=True)
class Struck:
    """A blow, and when it was felt: until its victim was gone, or at work again; who is stopped feels both ends."""

    blow: Blow
    felt: tuple[Span, ...]

    def kept(self, sender: str | None) -> bool:
        """Whether it may keep that worker from recording. A killed one holds nobody up; a stopped one holds locks."""
        if self.blow.deed not in LOSES_REQUESTS or self.blow.whom in BEATS:
            return False
        return self.blow.deed is Deed.STOP or self.blow.whom not in WORKERS or self.blow.whom == sender


@dataclass(frozen=True, slots=True)
class Lived:
    """All that a storm left behind. `published` is by source; `wanting`: each endpoint's sources, by its path."""

    published: Mapping[str, Sequence[Row]]
    wanting: Mapping[str, frozenset[str]]
    received: Sequence[Received]
    owed: Sequence[Owed]
    struck: Sequence[Struck] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """`duplicates`: messages accepted again; `bound`: the requests in flight when something struck that loses some."""

    rows: int
    states: int
    revisions: int
    deliveries: int
    requests: int
    duplicates: int
    bound: int
    blows: int


def findings(lived: Lived) -> list[str]:
    """A line for each thing that is not as promised; empty if all is."""
    return [
        *_unkept(lived),
        *_unlike(lived.received),
        *_undelivered(lived),
        *_sent_again(lived),
        *_unexplained(lived),
        *_too_many(lived),
    ]


def figures(lived: Lived) -> Figures:
    """How much there was of everything."""
    rows = [row for of_source in lived.published.values() for row in of_source]
    return Figures(
        rows=len(rows),
        states=sum(len(row.states) for row in rows),
        revisions=len({one.webhook_id for one in lived.owed}),
        deliveries=len(lived.owed),
        requests=len(lived.received),
        duplicates=len(_duplicates(lived.received)),
        bound=bound(lived),
        blows=len(lived.struck),
    )


def bound(lived: Lived) -> int:
    """So many requests were in flight when something struck: from their arrival until they were recorded."""
    recorded = _recorded(lived)
    lost = {id(before) for _, before in _pairs(lived.received)}
    until = {
        id(one): _given_up(one) if id(one) in lost else recorded.get(_message(one), _given_up(one))
        for one in _accepted(lived.received)
    }
    return sum(_was_struck(one, until[id(one)], lived) for one in _accepted(lived.received))


def _unkept(lived: Lived) -> Iterator[str]:
    """Lost, in the wrong order, changed, or not signed: as the sandbox judges it, for each endpoint."""
    for path, sources in lived.wanting.items():
        published = {source: lived.published[source] for source in sorted(sources)}
        received = [one for one in lived.received if one.path == path]
        yield from (f"{path}: {line}" for line in broken_promises(published, received))


def _unlike(received: Iterable[Received]) -> Iterator[str]:
    """A message has the same bytes for all endpoints, not only for one."""
    bodies: dict[str, bytes] = {}
    for one in received:
        if bodies.setdefault(one.webhook_id, one.body) != one.body:
            yield f"{one.webhook_id}: its bytes differ, at {one.path} for one"


def _undelivered(lived: Lived) -> Iterator[str]:
    """What the store says and what the receivers say must be the same."""
    accepted = {_message(one) for one in _accepted(lived.received)}
    for one in lived.owed:
        if one.status != "delivered":
            yield f"{one.path}: {one.webhook_id} is {one.status}"
        elif one.message not in accepted:
            yield f"{one.path}: {one.webhook_id} was recorded as delivered, and never arrived"
        elif len(one.recorded_at) != 1:
            yield f"{one.path}: {one.webhook_id} was recorded as delivered {len(one.recorded_at)} times"
    for path, webhook_id in sorted(accepted - {one.message for one in lived.owed}):
        yield f"{path}: {webhook_id} arrived, and the store knows of no such delivery"


def _sent_again(lived: Lived) -> Iterator[str]:
    recorded = _recorded(lived)
    for one in lived.received:
        known_at = recorded.get(_message(one))
        if known_at and one.arrived_at > known_at + ON_ITS_WAY:
            late_s = (one.arrived_at - known_at).total_seconds()
            yield f"{one.path}: {one.webhook_id} was sent again {late_s:.2f} s after it was recorded as delivered"


def _unexplained(lived: Lived) -> Iterator[str]:
    """Whoever sends a message again must have been kept from recording the time before."""
    for (path, webhook_id), before in _pairs(lived.received):
        if not _was_struck(before, _given_up(before), lived):
            at = f"{before.arrived_at:%H:%M:%S.%f}"
            yield f"{path}: {webhook_id} was sent again, though nothing struck when it was taken at {at}"


def _too_many(lived: Lived) -> Iterator[str]:
    duplicates, at_most = len(_duplicates(lived.received)), bound(lived)
    if duplicates > at_most:
        yield f"{duplicates} duplicates, though only {at_most} requests were in flight when something struck"


def _recorded(lived: Lived) -> dict[Message, datetime]:
    return {one.message: min(one.recorded_at) for one in lived.owed if one.recorded_at}


def _was_struck(one: Received, until: datetime, lived: Lived) -> bool:
    """Whether something struck that may have kept its sender from recording it, from its arrival until then."""
    struck = (each for each in lived.struck if each.kept(one.headers.get(SENDER)))
    return any(_met((one.arrived_at, until), felt) for each in struck for felt in each.felt)


def _met(span: Span, other: Span) -> bool:
    return span[0] <= other[1] and other[0] <= span[1]


def _given_up(one: Received) -> datetime:
    """Until when a request whose record was lost may have waited for it."""
    return (one.ended_at or one.arrived_at) + TO_RECORD


def _accepted(received: Iterable[Received]) -> list[Received]:
    return [one for one in received if one.accepted]


def _message(one: Received) -> Message:
    return one.path, one.webhook_id


def _pairs(received: Iterable[Received]) -> Iterator[tuple[Message, Received]]:
    """Each acceptance that was followed by another of the same message."""
    before: dict[Message, Received] = {}
    for one in _accepted(received):
        if (message := _message(one)) in before:
            yield message, before[message]
        before[message] = one


def _duplicates(received: Iterable[Received]) -> list[Message]:
    accepted = Counter(_message(one) for one in _accepted(received))
    return [message for message, times in accepted.items() for _ in range(times - 1)]
