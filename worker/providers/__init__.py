"""The providers, by slug, written out by hand. A provider is a contract, a request, a schema and a mapping."""

import sys
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Protocol

from worker.errors import ConfigurationError
from worker.provider import Contract, Provider
from worker.providers.bookkeep.provider import Bookkeep
from worker.providers.described.provider import provider_with, shipped
from worker.providers.govapp.provider import GovApp
from worker.providers.realtime_register.provider import RealtimeRegister
from worker.rest.client import Client, Means
from worker.settings import DescribedSource, SourceSettings


class ProviderClass(Protocol):
    """What a provider's class offers before there is a provider: its options, and how a client of it is made."""

    @property
    def slug(self) -> str:
        """The provider's name in the configuration."""

    @property
    def contract(self) -> Contract:
        """What is known of its API."""

    @property
    def options(self) -> type[SourceSettings]:
        """The keys of its sources."""

    def client(self, options: Any, means: Means) -> Client:
        """A client with the source's address and credentials."""

    def __call__(self, options: Any, client: Client) -> Provider:
        """The provider of one source."""


PROVIDERS: Mapping[str, ProviderClass] = MappingProxyType(
    {
        "bookkeep": Bookkeep,
        "govapp": GovApp,
        "realtime_register": RealtimeRegister,
        **shipped(),
    }
)
"""Those that come with Tocsin; github, mastodon and stripe are known by their descriptions alone."""

GROUP = "tocsin.providers"
"""The entry points by which a package adds a provider's class, as `name = "module:Class"`."""


def providers() -> Mapping[str, ProviderClass]:
    """All there are but those that the configuration describes: ours, and those that installed packages add.

    Raises ConfigurationError for what a package adds and can't be used.
    """
    return _providers(tuple(sys.path))


@cache
def _providers(_: tuple[str, ...]) -> Mapping[str, ProviderClass]:
    added: dict[str, ProviderClass] = {}
    problems = []
    for point in entry_points(group=GROUP):
        where = f'{GROUP}: "{point.name}" of {point.dist.name if point.dist else "a package"}'
        try:
            added[point.name] = _loaded(point, {*PROVIDERS, *added})
        except ConfigurationError as error:
            problems.append(f"{where} {error}")
    if problems:
        raise ConfigurationError(problems)
    return MappingProxyType({**PROVIDERS, **added})


def _loaded(point: EntryPoint, known: Collection[str]) -> ProviderClass:
    if point.name in known:
        raise ConfigurationError(["has the name of another provider"])
    try:
        found: ProviderClass = point.load()
    except Exception as error:  # whatever a package does when it is imported
        raise ConfigurationError([f"can't be loaded: {type(error).__name__}: {error}"]) from error
    for name in ("outline", "complete"):
        if not hasattr(found, name):  # it may well not derive from Provider, which has both
            setattr(found, name, getattr(Provider, name))
    offered = ("slug", "contract", "options", "client", "pages", "changes", "fetch", "acknowledge", "normalise")
    missing = [name for name in offered if not hasattr(found, name)]
    if missing:
        raise ConfigurationError([f"is no provider: it has no {missing[0]}"])
    if found.slug != point.name:
        raise ConfigurationError([f'calls itself "{found.slug}"'])
    return found


def build(options: SourceSettings, means: Means | None = None) -> tuple[Provider, Client]:
    """The provider of a source, by its options; its client is to be closed when the provider is no longer used."""
    chosen = _chosen(options)
    client = chosen.client(options, means or Means())
    return chosen(options, client), client


def patient(options: SourceSettings, client: Client) -> Provider:
    """The same provider for what can wait: its requests leave live polls their part of the budget."""
    return _chosen(options)(options, client.background())


def _chosen(options: SourceSettings) -> ProviderClass:
    known = providers()
    if isinstance(options, DescribedSource) and options.provider not in known:
        return provider_with(options.provider, type(options))
    return known[options.provider]
