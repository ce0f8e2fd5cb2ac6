"""What `tocsin check` looks at: each source's first page, each endpoint's addresses. Writes nothing."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from worker import intake
from worker.errors import AuthFailed, ConfigurationError, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.notification import Normalised
from worker.provider import Provider, Window
from worker.providers import build
from worker.providers.described.fit import Fit, fit
from worker.rest.client import Means
from worker.settings import Description, SourceSettings
from worker.store import schema
from worker.webhooks.guard import is_allowed
from worker.wiring import House

_MENDS: tuple[tuple[type[ProviderError], str], ...] = (
    (AuthFailed, "check its key, secret or token, and what that may read"),
    (RateLimited, "wait, or poll less often"),
    (Unavailable, "check base_url, and that this machine reaches it"),
    (ContractBroken, "check base_url and the source's own keys"),
)
_PORTS = {"http": 80, "https": 443}
_CLOSE_ENOUGH = timedelta(seconds=2)
_PAGES_TO_BE_SURE = 2
_IS_YET_TO_BE_MADE = "`tocsin run` makes it"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one source or endpoint, and where it is bad, or `doubtful`, what to mend."""

    subject: str
    good: bool
    text: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What a source's first page showed: its items of those `asked` for, and whether more follow where these are fewer.

    `last`: it says that nothing follows. `offset`: the provider's clock minus ours; None: it doesn't tell.
    """

    items: Sequence[Any]
    asked: int
    more: bool
    last: bool
    offset: timedelta | None

    @property
    def page_size(self) -> list[str]:
        """Whether it gives as many as it is asked for, where that can be seen."""
        count = len(self.items)
        if count == self.asked:
            return [f"pages of {count} as asked for"]
        if self.more or count > self.asked:
            return [f"pages of {count} where {self.asked} were asked for"]
        return []

    @property
    def full_and_last(self) -> bool:
        """Whether it may be that the way to the next page was missed."""
        return self.last and len(self.items) == self.asked

    @property
    def clock(self) -> list[str]:
        """How far its clock is from ours, where that is worth telling."""
        if self.offset is None or abs(self.offset) <= _CLOSE_ENOUGH:
            return []
        seconds = round(abs(self.offset) / timedelta(seconds=1))
        return [f"its clock is {seconds} s {'ahead of' if self.offset > timedelta() else 'behind'} ours"]


def check_all(home: House) -> Iterator[Finding]:
    """The database, the stored secrets, each source, each endpoint."""
    database = check_database(home)
    yield database
    if database.good and not database.text.endswith(_IS_YET_TO_BE_MADE):
        yield from check_secrets(home)
    yield from check_sources(home)
    yield from check_endpoints(home)


def check_database(home: House) -> Finding:
    """Can it be reached, and is its schema this version's?"""
    try:
        found = None if _is_yet_to_be_made(home.settings.database) else schema.found(home.database)
    except ConfigurationError as error:
        return Finding("database", good=False, text=str(error))
    if found and found.version >= schema.HEAD:
        return Finding("database", good=not found.problem(), text=found.problem() or f"schema {found.version}")
    mend = _IS_YET_TO_BE_MADE if schema.migrates_itself(home.database) else "run `tocsin migrate`"
    there = found.version if found else "none yet"
    return Finding("database", good=schema.migrates_itself(home.database), text=f"schema {there}; {mend}")


def check_secrets(home: House) -> Iterator[Finding]:
    """The stored secrets that no key of ours opens."""
    try:
        home.signing.require()
    except ConfigurationError as error:
        for problem in error.problems:
            yield Finding("key", good=False, text=problem.removeprefix("key: "))


def _is_yet_to_be_made(database: str) -> bool:
    """Whether it is a file that isn't there, in a folder that is: to look into it would make it."""
    file = Path(database.removeprefix("sqlite:///"))
    return database.startswith("sqlite:///") and file.parent.is_dir() and not file.exists()


def check_sources(home: House) -> Iterator[Finding]:
    """Ask each source for one page of what it would still follow, with credentials that are shown anew."""
    for name, source in home.settings.sources.items():
        try:
            provider, client = build(source, Means(clock=home.clock))
            with closing(client):
                sample, described = _sample(provider, source, home.clock), home.settings.providers.get(source.provider)
                yield _finding(f"sources.{name}", provider, described, sample, home.clock())
        except ProviderError as error:
            mend = next(text for kind, text in _MENDS if isinstance(error, kind))
            yield Finding(f"sources.{name}", good=False, text=f"{error} Mend: {mend}")


def check_endpoints(home: House) -> Iterator[Finding]:
    """Look up each endpoint's host, and hold its addresses against `allow_networks`."""
    for name, endpoint in home.settings.endpoints.items():
        subject = f"endpoints.{name}"
        address = urlsplit(str(endpoint.url))
        host, port = address.hostname or "", address.port or _PORTS[address.scheme]
        try:
            found = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
        except (OSError, UnicodeError):  # the latter for labels that no name server takes
            yield Finding(subject, good=False, text=f"{host} does not resolve. Mend: check its url")
            continue
        refused = [text for text in found if not is_allowed(_address(text), endpoint.allow_networks)]
        if refused:
            text = f"{host} is {', '.join(refused)}: not public. Mend: add it to allow_networks if you mean it"
            yield Finding(subject, good=False, text=text)
        else:
            yield Finding(subject, good=True, text=f"{host} is {', '.join(found)}")


def _address(text: str) -> IPv4Address | IPv6Address:
    """Without the name of the network card that a link-local one has."""
    return ip_address(text.partition("%")[0])


def _sample(provider: Provider, source: SourceSettings, clock: Callable[[], datetime]) -> Sample:
    """The first page; a few more only where it is small and nobody says whether anything follows it."""
    now = clock()
    pages = provider.pages(Window(now - max(source.overlap, source.track_for), now))
    first = next(pages)
    offset = first.server_date - clock() if first.server_date else None
    count, asked = len(first.items), source.page_size or provider.contract.page_size
    small = 0 < count < asked and not first.last
    if first.total is not None:
        more = small and first.total > count
    else:
        more = small and any(page.items for page in islice(pages, _PAGES_TO_BE_SURE))
    return Sample(first.items, asked, more, first.last, offset)


def _fit(provider: Provider, described: Description | None, items: Sequence[Normalised], *, full_and_last: bool) -> Fit:
    """How items fit their provider's description, where it is the file's own; else, whether they have times."""
    if described:
        return fit(described, [item.notification.raw for item in items], full_and_last=full_and_last)
    field = provider.contract.time_field
    timeless = items and field and all(item.notification.occurred_at is None for item in items)
    return Fit((f"{field} is no time in any item",) if timeless else (), ())


def _finding(subject: str, provider: Provider, described: Description | None, sample: Sample, now: datetime) -> Finding:
    items, unfit = intake.normalise_all(provider, sample.items, now)
    understood = f"{len(items)} items understood"
    if unfit:
        understood += f", {len(unfit)} not: {unfit[0].reason}"
    told = ["reachable", "credentials accepted", understood, *sample.page_size, *sample.clock]
    found = _fit(provider, described, items, full_and_last=sample.full_and_last)
    text, misfits = ", ".join(told), "; ".join((*found.wrong, *found.doubtful))
    if misfits:
        text += f". Mend: {f'providers.{provider.slug}: ' if described else ''}{misfits}"
    return Finding(subject, good=not (unfit or found.wrong), text=text, doubtful=bool(found.doubtful))
