"""The composition root: configuration in; a database, providers, a sender, and what can be done with them, out."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from random import Random

from worker import __version__, announce, computing, deliver, poll, terms
from worker.deliver import Outbox, Rules
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.key_file import KeyFile
from worker.meter import UNMETERED, Meter
from worker.moment import Schedule
from worker.progress import PollSummary
from worker.provider import Provider
from worker.providers import build, patient, providers
from worker.redaction import shown_url
from worker.rest.budget import Budgets
from worker.rest.client import Client, Means
from worker.rest.kept import Kept
from worker.revision import MessageType
from worker.settings import Settings, load
from worker.shared_tokens import SharedTokens
from worker.signing import Signing, Targets
from worker.store import endpoints, roster, schema, sources
from worker.store.heartbeats import SWEEP, TICK, Pulse
from worker.store.session import Database
from worker.store.shared_clock import agreed
from worker.vault import Vault
from worker.webhooks.sender import Sender
from worker.webhooks.verdict import Policy

_SWEEP_BEGINS_FOR = timedelta(minutes=2)


def utc_now() -> datetime:
    """The clock that is passed in everywhere."""
    return datetime.now(UTC)


def read_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The configuration, checked against the providers there are. Raises ConfigurationError."""
    known = providers()
    acknowledging = [slug for slug, provider in known.items() if provider.contract.acknowledges]
    return load(path, environ, {slug: one.options for slug, one in known.items()}, tuple(MessageType), acknowledging)


@dataclass
class House:
    """Everything put together, once per process. `stopping` is set when it is to end; `turns` are its polls'.

    `sweep_for`: after so long a sweep sees to its end; a task of a worker's child process must end within its limit,
    which leaves two times the longest timeout for what is open then.
    """

    settings: Settings
    clock: Callable[[], datetime] = utc_now
    user_agent: str = f"Tocsin/{__version__}"
    random: Random = field(default_factory=Random)
    stopping: threading.Event = field(default_factory=threading.Event)
    sweep_for: timedelta = _SWEEP_BEGINS_FOR
    meter: Meter = UNMETERED

    def __post_init__(self) -> None:
        self.database = Database(self.settings.database)
        self.turns = computing.turns_at(self.settings.database)
        self._one_sweep, self._clients, self._names = deliver.OneSweep(), Kept(), terms.names(self.settings)
        self._polls = {name: threading.Lock() for name in self.settings.sources}
        self._world = Surroundings(self.database, self.clock, self.random, self.stopping.is_set, meter=self.meter)
        self._swept, self._ticked = Pulse(self.database, SWEEP), Pulse(self.database, TICK)

    def move_in(self) -> None:
        """See to the schema, and make every configured source and endpoint known. Raises ConfigurationError."""
        schema.require(self.database)
        now = self.clock()
        with self.database.transaction() as session:
            roster.register(session, terms.roster(self.settings, now), now)
            for name in self.settings.endpoints:
                endpoints.register(session, name, now)
            self.signing.make_missing(session)

    def close(self) -> None:
        """Let go of connections."""
        if "sender" in self.__dict__:
            self.sender.close()
        self._clients.close()
        if "budgets" in self.__dict__:
            self.budgets.close()
        self.database.close()

    @cached_property
    def vault(self) -> Vault:
        """What secrets at rest are sealed with; an embedded database has its own key."""
        return Vault(self.own_keys.keys if self.own_keys else [key.get_secret_value() for key in self.settings.key])

    @cached_property
    def own_keys(self) -> KeyFile | None:
        """The key file of an embedded database; None where keys are configured."""
        return None if self.settings.key else KeyFile(Path(self.settings.database.removeprefix("sqlite:///")))

    @cached_property
    def signing(self) -> Signing:
        """What each endpoint's requests are signed with."""
        return Signing(
            database=self.database, vault=lambda: self.vault, endpoints=self.settings.endpoints, clock=self.clock
        )

    @cached_property
    def interests(self) -> tuple[Interest, ...]:
        """What each endpoint wants."""
        return tuple(terms.interest(name, endpoint) for name, endpoint in self.settings.endpoints.items())

    @cached_property
    def means(self) -> Means:
        """What asking providers takes: tokens and budgets are shared by all workers."""
        tokens = SharedTokens(self.database, self.vault, self.clock)
        return Means(clock=self.clock, tokens=tokens, budgets=self.budgets, aside=self.turns.aside)

    @cached_property
    def budgets(self) -> Budgets:
        """How many requests each credential has left, counted for all workers."""
        return Budgets(self.settings.broker, self.clock, self.vault.fingerprint)

    @cached_property
    def providers(self) -> Mapping[str, Provider]:
        """The provider of each source, built from the source's options."""
        return {name: provider for name, (provider, _) in self._built.items()}

    @cached_property
    def patient_providers(self) -> Mapping[str, Provider]:
        """The same providers, for what can wait."""
        return {name: patient(self.settings.sources[name], client) for name, (_, client) in self._built.items()}

    @cached_property
    def _built(self) -> Mapping[str, tuple[Provider, Client]]:
        built = {name: build(source, self.means) for name, source in self.settings.sources.items()}
        for name, (_, client) in built.items():
            self._clients.add(name, client)
        return built

    @cached_property
    def sender(self) -> Sender:
        """The one thread's worth of open requests."""
        return Sender(Targets(self.signing), user_agent=self.user_agent, clock=self.clock)

    def schedule(self, name: str) -> Schedule:
        """When a source is polled."""
        return terms.schedule(self.settings.sources[name])

    def subscription(self, name: str) -> Subscription:
        """A source as configured."""
        return Subscription(
            source=name,
            provider=self.providers[name],
            patient=self.patient_providers[name],
            schedule=self.schedule(name),
            overlap=self.settings.sources[name].overlap,
            track_for=self.settings.sources[name].track_for,
            interests=self.interests,
            acknowledge=self.settings.sources[name].acknowledge,
        )

    def due_sources(self, provider: str) -> list[str]:
        """The provider's sources that are due, now on their way to a worker."""
        names = self._names.get(provider, frozenset())
        announce.lagging(self.database, names, self.subscription, self.clock())
        self._ticked.beat(self.clock())
        with self.database.reading() as session:
            due = roster.due(session, names, self.clock())
        if not due:
            return []
        with self.database.transaction() as session:
            return sources.queue_due(session, due, self.clock())

    def unqueue(self) -> None:
        """For a process whose queue is in its memory: what was on its way in the last one is not in this one."""
        with self.database.transaction() as session:
            sources.unqueue(session)

    def poll(self, name: str, *, only_due: bool, owed: Callable[[], None] = lambda: None) -> PollSummary | None:
        """One poll. None: another process has it, or it is not due, or paused. Raises ProviderError, LeaseLost.

        `owed` is called whenever there may be something to deliver.
        """
        if not self._polls[name].acquire(blocking=False):
            return None  # a poll of ours that outlived its lease; its connection is not to be shared
        try:
            return self._poll(name, only_due=only_due, owed=owed)
        finally:
            self._polls[name].release()

    def _poll(self, name: str, *, only_due: bool, owed: Callable[[], None]) -> PollSummary | None:
        world = replace(self._world, database=self.database, clock=self.clock, owed=owed)
        with self.turns.turn(), self._clients.using(name):
            return poll.poll(self.subscription(name), world, only_due=only_due)

    def put_back(self) -> None:
        """Give back the sources that this process still polls; whoever is next begins their poll anew."""
        with self.database.transaction() as session:
            for token in tuple(self._world.held):
                sources.put_back(session, token)

    def deliver(self) -> int:
        """Deliver what is due; the attempts made. Where a sweep goes on in this process, it looks once more instead."""
        rules = self.rules(self.clock() + self.sweep_for)
        sweep = partial(deliver.deliver_due, self.outbox, self.sender, rules)
        return self._one_sweep.of(sweep, self.sender.wake, rules.is_ending)

    @cached_property
    def outbox(self) -> Outbox:
        """The store's side of delivery."""
        configured = self.settings.endpoints
        urls = {name: shown_url(str(endpoint.url)) for name, endpoint in configured.items()}
        patience = {name: endpoint.disable_after for name, endpoint in configured.items()}
        about = announce.Endpoints(self.interests, urls, patience)
        allowances = {name: terms.allowance(endpoint) for name, endpoint in configured.items()}
        return Outbox(database=self.database, allowances=allowances, endpoints=about, pulse=self._swept.beat)

    def rules(self, begin_until: datetime) -> Rules:
        """How outcomes are judged; nothing new is begun after that instant, or when the process is to end."""
        return Rules(
            policies={name: Policy(endpoint.retry_schedule) for name, endpoint in self.settings.endpoints.items()},
            random=self.random,
            clock=self.clock,
            may_begin=lambda: not self.stopping.is_set(),
            is_ending=lambda: self.clock() >= begin_until,
            meter=self.meter,
        )


def open_house(settings: Settings, *, to_sign: bool = False, meter: Meter = UNMETERED) -> House:
    """A house with its schema seen to and its sources and endpoints known. Raises ConfigurationError.

    `to_sign`: also where a stored secret can't be opened, of which a process that delivers must say so at its start.
    """
    house = House(settings, meter=meter)
    house.clock = agreed(house.database, utc_now)
    try:
        house.move_in()
        if to_sign:
            house.signing.require()
    except Exception:
        house.close()
        raise
    return house
