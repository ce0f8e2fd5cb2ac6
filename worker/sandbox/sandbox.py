"""The whole sandbox: the three providers' APIs and a receiver on loopback, and what happens there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from threading import Event, Lock
from typing import Any, Self

from worker.notification import Status
from worker.sandbox.api import Api
from worker.sandbox.bookkeep import Bookkeep
from worker.sandbox.clock import utc_now
from worker.sandbox.govapp import GovApp
from worker.sandbox.ledger import Row
from worker.sandbox.promises import Tally, broken_promises, tally
from worker.sandbox.realtime_register import RealtimeRegister
from worker.sandbox.receiver import Receiver
from worker.sandbox.rows import GROWERS

PATH = "/hooks/tocsin"
"""Where the sandbox's own endpoint receives."""

_OPEN = frozenset({Status.NEW, Status.RECEIVED, Status.READ})


@dataclass(frozen=True, slots=True)
class Mix:
    """Of how many parts the traffic consists; a late row shows up `lateness` after its own timestamp."""

    publish: int = 65
    publish_late: int = 5
    change: int = 30
    withdraw: int = 0
    lateness: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened at a provider: `published`, `published late`, `changed` or `withdrawn`."""

    what: str
    provider: str
    external_id: str
    at: datetime


class Sandbox:
    """A context manager: inside it all four servers answer. The same seed publishes the same things.

    Sources are named by their providers' slugs. `receiver` has one endpoint open, at `PATH`.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now, seed: int = 1) -> None:
        self.clock = clock
        self.realtime_register = RealtimeRegister(clock, seed=seed)
        self.bookkeep = Bookkeep(clock)
        self.govapp = GovApp(clock, seed=seed)
        self.apis: Mapping[str, Api] = {api.slug: api for api in (self.realtime_register, self.bookkeep, self.govapp)}
        self.receiver = Receiver(clock)
        self.secret = self.receiver.open(PATH)
        self._random = Random(seed)
        self._numbers = dict.fromkeys(self.apis, 0)
        self._lock = Lock()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for api in self.apis.values():
                starting.enter_context(api)
            starting.enter_context(self.receiver)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def sources(self) -> dict[str, dict[str, Any]]:
        """The `sources` of a configuration, as INTERFACE section 1 writes them, from the beginning."""
        return {slug: {**api.settings(), "start_at": "beginning"} for slug, api in self.apis.items()}

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """The `endpoints` of a configuration: the receiver's one, loopback allowed."""
        return {"sandbox": {"url": self.receiver.url(PATH), "secret": self.secret, "allow_networks": ["127.0.0.0/8"]}}

    def publish(self, count: int = 1, provider: str | None = None, delay: timedelta = timedelta()) -> list[Row]:
        """So many new rows, at one provider or each at one by chance; visible only after the delay."""
        return [self._publish(provider, delay) for _ in range(count)]

    def change(self, count: int = 1, provider: str | None = None) -> list[Row]:
        """The next state of so many rows that are visible and not closed; fewer where there are fewer."""
        with self._lock:
            chosen = self._choose(count, provider)
            return [self._changed(slug, row) for slug, row in chosen]

    def withdraw(self, count: int = 1, provider: str | None = None) -> list[Row]:
        """So many rows that are visible and not closed vanish; fewer where there are fewer."""
        with self._lock:
            chosen = self._choose(count, provider)
            return [self.apis[slug].ledger.withdraw(row.external_id) for slug, row in chosen]

    def published(self) -> dict[str, list[Row]]:
        """By source, every row that a poller should have seen by now or may have seen, with all its states."""
        now = self.clock()
        return {slug: [row for row in api.ledger.all() if row.visible_at <= now] for slug, api in self.apis.items()}

    def broken_promises(self) -> list[str]:
        """What did not arrive at the sandbox's endpoint as promised, a line each."""
        return broken_promises(self.published(), self.receiver.received(PATH))

    def tally(self) -> Tally:
        """What was published, and what arrived at the sandbox's endpoint."""
        return tally(self.published(), self.receiver.received(PATH))

    def traffic(self, mix: Mix | None = None) -> Iterator[Happening]:
        """For ever: each step makes one thing happen, and tells it. Where nothing can be changed, it publishes."""
        mix = mix or Mix()
        deeds: Sequence[tuple[str, Callable[[str], list[Row]]]] = (
            ("published", lambda slug: self.publish(1, slug)),
            ("published late", lambda slug: self.publish(1, slug, mix.lateness)),
            ("changed", lambda slug: self.change(1, slug)),
            ("withdrawn", lambda slug: self.withdraw(1, slug)),
        )
        weights = (mix.publish, mix.publish_late, mix.change, mix.withdraw)
        while True:
            what, deed = self._random.choices(deeds, weights)[0]
            slug = self._random.choice(list(self.apis))
            rows = deed(slug)
            if not rows:
                what, rows = "published", self.publish(1, slug)
            yield Happening(what, slug, rows[0].external_id, self.clock())

    def _publish(self, provider: str | None, delay: timedelta) -> Row:
        with self._lock:
            slug = provider or self._random.choice(list(self.apis))
            self._numbers[slug] += 1
            at = self.clock()
            external_id, raw = GROWERS[slug].born(self._random, self._numbers[slug], at)
            return self.apis[slug].ledger.publish(external_id, raw, occurred_at=at, delay=delay)

    def _choose(self, count: int, provider: str | None) -> list[tuple[str, Row]]:
        apis = self.apis if provider is None else {provider: self.apis[provider]}
        found = [(slug, row) for slug, api in apis.items() for row in api.ledger.visible() if row.state.status in _OPEN]
        return self._random.sample(found, min(count, len(found)))

    def _changed(self, slug: str, row: Row) -> Row:
        raw, status = GROWERS[slug].changed(self._random, row.raw, self.clock())
        return self.apis[slug].ledger.change(row.external_id, raw, status)


def paced(traffic: Iterator[Happening], per_second: float, stop: Event) -> Iterator[Happening]:
    """The traffic at so many happenings a second, until `stop` is set."""
    while not stop.wait(1 / per_second):
        yield next(traffic)
