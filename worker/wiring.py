"""The composition root: configuration in; a database, providers, a sender, and what can be done with them, out."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from random import Random

from worker import __version__, deliver, poll, vault
from worker.deliver import Outbox, Rules
from worker.interest import Interest
from worker.moment import Schedule
from worker.poll import Subscription, Surroundings
from worker.progress import PollSummary
from worker.provider import Provider
from worker.providers import PROVIDERS, build
from worker.rest.client import Client, Means
from worker.revision import MessageType
from worker.settings import EndpointSettings, Settings, SourceSettings, load
from worker.store import endpoints, schema, sources
from worker.store.claims import Allowance
from worker.store.session import Database
from worker.vault import Vault
from worker.webhooks import signature
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target
from worker.webhooks.verdict import Policy

_BEYOND_TIMEOUT = timedelta(seconds=30)
_SWEEP_BEGINS_FOR = timedelta(minutes=5)
_SHORTEST_TICK, _LONGEST_TICK = timedelta(seconds=1), timedelta(seconds=5)
_CRON_GRAIN = timedelta(minutes=1)


def utc_now() -> datetime:
    """The clock that is passed in everywhere."""
    return datetime.now(UTC)


def read_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The configuration, checked against the providers there are. Raises ConfigurationError."""
    options = {slug: provider.options for slug, provider in PROVIDERS.items()}
    return load(path, environ, options, tuple(MessageType))


@dataclass
class House:
    """Everything put together, once per process. `stopping` is set when the process is to end.

    `sweep_for`: so long a sweep begins new deliveries; a task of a worker's child process must end some day.
    """

    settings: Settings
    clock: Callable[[], datetime] = utc_now
    user_agent: str = f"Tocsin/{__version__}"
    random: Random = field(default_factory=Random)
    stopping: threading.Event = field(default_factory=threading.Event)
    sweep_for: timedelta = _SWEEP_BEGINS_FOR

    def __post_init__(self) -> None:
        self.database = Database(self.settings.database)
        self._one_sweep = threading.Lock()
        self._polls = {name: threading.Lock() for name in self.settings.sources}
        self._leases: set[str] = set()
        self._clients: list[Client] = []

    def move_in(self) -> None:
        """See to the schema, and make every configured source and endpoint known. Raises ConfigurationError."""
        schema.require(self.database)
        now = self.clock()
        with self.database.transaction() as session:
            for name, source in self.settings.sources.items():
                sources.register(session, name, source.provider, _start_at(source, now), now)
            for name, endpoint in self.settings.endpoints.items():
                endpoints.register(session, name, now)
                if endpoint.secret is None and not endpoints.secrets(session, name, now):
                    endpoints.keep_secret(session, name, self.vault.seal(signature.new_secret()), now)

    def close(self) -> None:
        """Let go of connections."""
        if "sender" in self.__dict__:
            self.sender.close()
        for client in self._clients:
            client.close()
        self.database.close()

    @cached_property
    def vault(self) -> Vault:
        """What secrets at rest are sealed with; an embedded database has its own key."""
        keys = [key.get_secret_value() for key in self.settings.key]
        return Vault(keys or [vault.own_key(Path(self.settings.database.removeprefix("sqlite:///")))])

    @cached_property
    def interests(self) -> tuple[Interest, ...]:
        """What each endpoint wants."""
        return tuple(_interest(name, endpoint) for name, endpoint in self.settings.endpoints.items())

    @cached_property
    def providers(self) -> Mapping[str, Provider]:
        """The provider of each source, built from the source's options."""
        built = {name: build(source, Means(clock=self.clock)) for name, source in self.settings.sources.items()}
        self._clients = [client for _, client in built.values()]
        return {name: provider for name, (provider, _) in built.items()}

    @cached_property
    def sender(self) -> Sender:
        """The one thread's worth of open requests."""
        targets = {name: self.target(name) for name in self.settings.endpoints}
        return Sender(targets, user_agent=self.user_agent, clock=self.clock)

    def schedule(self, name: str) -> Schedule:
        """When a source is polled."""
        options = self.settings.sources[name]
        return Schedule(options.every, options.cron, options.timezone)

    def subscription(self, name: str) -> Subscription:
        """A source as configured."""
        return Subscription(
            source=name,
            provider=self.providers[name],
            schedule=self.schedule(name),
            overlap=self.settings.sources[name].overlap,
            interests=self.interests,
        )

    def target(self, name: str) -> Target:
        """Where an endpoint is and how it is spoken to."""
        return _target(name, self.settings.endpoints[name], self.signing_secrets(name))

    def signing_secrets(self, name: str) -> tuple[str, ...]:
        """The secrets in force: the configured one, else those that were made and stored."""
        if configured := self.settings.endpoints[name].secret:
            return (configured.get_secret_value(),)
        with self.database.reading() as session:
            return tuple(self.vault.open(sealed) for sealed in endpoints.secrets(session, name, self.clock()))

    def due_sources(self, provider: str) -> list[str]:
        """The provider's sources that are due, now on their way to a worker."""
        names = [name for name, source in self.settings.sources.items() if source.provider == provider]
        if not names:
            return []
        with self.database.transaction() as session:
            return sources.queue_due(session, names, self.clock())

    def unqueue(self) -> None:
        """For a process whose queue is in its memory: what was on its way in the last one is not in this one."""
        with self.database.transaction() as session:
            sources.unqueue(session, list(self.settings.sources))

    def poll(self, name: str, *, only_due: bool) -> PollSummary | None:
        """One poll. None: another process has it, or it is not due, or paused. Raises ProviderError, LeaseLost."""
        if not self._polls[name].acquire(blocking=False):
            return None  # a poll of ours that outlived its lease; its connection is not to be shared
        try:
            return self._poll(name, only_due=only_due)
        finally:
            self._polls[name].release()

    def _poll(self, name: str, *, only_due: bool) -> PollSummary | None:
        world = Surroundings(self.database, self.clock, self.random, self.stopping.is_set, self._leases)
        return poll.poll(self.subscription(name), world, only_due=only_due)

    def put_back(self) -> None:
        """Give back the sources that this process still polls; whoever is next begins their poll anew."""
        with self.database.transaction() as session:
            for token in tuple(self._leases):
                sources.put_back(session, token)

    def deliver(self) -> int:
        """Deliver what is due; the attempts made. One sweep at a time in a process: a second one has nothing to do."""
        if not self._one_sweep.acquire(blocking=False):
            return 0
        try:
            return deliver.deliver_due(self.outbox, self.sender, self.rules(self.clock() + self.sweep_for))
        finally:
            self._one_sweep.release()

    @cached_property
    def outbox(self) -> Outbox:
        """The store's side of delivery."""
        allowances = {
            name: Allowance(endpoint.max_in_flight, endpoint.timeout + _BEYOND_TIMEOUT, endpoint.rate_limit)
            for name, endpoint in self.settings.endpoints.items()
        }
        return Outbox(database=self.database, allowances=allowances)

    def rules(self, begin_until: datetime) -> Rules:
        """How outcomes are judged; nothing new is begun after that instant, or when the process is to end."""
        return Rules(
            policies={name: Policy(endpoint.retry_schedule) for name, endpoint in self.settings.endpoints.items()},
            random=self.random,
            clock=self.clock,
            may_begin=lambda: not self.stopping.is_set() and self.clock() < begin_until,
        )


def ticks(settings: Settings) -> dict[str, timedelta]:
    """How often each provider's sources are looked through: ten times in their shortest interval, within bounds."""
    shortest: dict[str, timedelta] = {}
    for source in settings.sources.values():
        every = source.every or _CRON_GRAIN
        shortest[source.provider] = min(every, shortest.get(source.provider, every))
    return {slug: max(_SHORTEST_TICK, min(every / 10, _LONGEST_TICK)) for slug, every in shortest.items()}


def open_house(settings: Settings) -> House:
    """A house with its schema seen to and its sources and endpoints known. Raises ConfigurationError."""
    house = House(settings)
    try:
        house.move_in()
    except Exception:
        house.close()
        raise
    return house


def _start_at(source: SourceSettings, now: datetime) -> datetime | None:
    """INTERFACE, section 2: `now` is the moment the source was first seen."""
    if source.start_at == "beginning":
        return None
    return now if source.start_at == "now" else source.start_at


def _interest(name: str, endpoint: EndpointSettings) -> Interest:
    statuses = None if endpoint.statuses is None else tuple(status.value for status in endpoint.statuses)
    return Interest(name, endpoint.types, endpoint.sources, endpoint.kinds, statuses)


def _target(name: str, endpoint: EndpointSettings, secrets: tuple[str, ...]) -> Target:
    certificate = endpoint.client_certificate
    return Target(
        name=name,
        url=str(endpoint.url),
        headers={header: value.get_secret_value() for header, value in endpoint.headers.items()},
        secrets=tuple(signature.parse_secret(secret) for secret in secrets),
        timeout=endpoint.timeout,
        connect_timeout=endpoint.connect_timeout,
        allow_networks=endpoint.allow_networks,
        ca=endpoint.ca,
        client_certificate=(certificate.certificate, certificate.key) if certificate else None,
        content_type="application/json",
    )
