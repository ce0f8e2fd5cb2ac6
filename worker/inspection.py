"""What `tocsin check` looks at: each source's first page, each endpoint's addresses. Writes nothing."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from worker import poll
from worker.errors import AuthFailed, ConfigurationError, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.provider import Page, Window
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


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one source or endpoint, and where it is bad, what to mend."""

    subject: str
    good: bool
    text: str


def check_all(home: House) -> Iterator[Finding]:
    """The database, each source, each endpoint."""
    yield check_database(home)
    yield from check_sources(home)
    yield from check_endpoints(home)


def check_database(home: House) -> Finding:
    """Can it be reached, and is its schema this version's?"""
    try:
        found = None if _is_yet_to_be_made(home.settings.database) else schema.current(home.database)
    except ConfigurationError as error:
        return Finding("database", good=False, text=str(error))
    if found == schema.HEAD:
        return Finding("database", good=True, text=f"schema {found}")
    mend = "`tocsin run` makes it" if schema.migrates_itself(home.database) else "run `tocsin migrate`"
    return Finding("database", good=schema.migrates_itself(home.database), text=f"schema {found or 'none yet'}; {mend}")


def _is_yet_to_be_made(database: str) -> bool:
    """Whether it is a file that isn't there, in a folder that is: to look into it would make it."""
    file = Path(database.removeprefix("sqlite:///"))
    return database.startswith("sqlite:///") and file.parent.is_dir() and not file.exists()


def check_sources(home: House) -> Iterator[Finding]:
    """Ask each source for one page of its last overlap."""
    for name, source in home.settings.sources.items():
        subject, now = f"sources.{name}", home.clock()
        try:
            pages = home.providers[name].pages(Window(now - source.overlap, now))
            page = next(pages)
        except ProviderError as error:
            mend = next(text for kind, text in _MENDS if isinstance(error, kind))
            yield Finding(subject, good=False, text=f"{error} Mend: {mend}")
            continue
        yield _page_finding(home, name, subject, page)


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


def _page_finding(home: House, name: str, subject: str, page: Page) -> Finding:
    items, unfit = poll.normalise_all(home.providers[name], page.items, home.clock())
    text = f"reachable, credentials accepted, {len(items)} items understood"
    if unfit:
        return Finding(subject, good=False, text=f"{text}, {len(unfit)} not: {unfit[0].reason}")
    return Finding(subject, good=True, text=text)
