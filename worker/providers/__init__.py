"""The providers, by slug, written out by hand. A provider is a contract, a request, a schema and a mapping."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from worker.provider import Contract, Provider
from worker.providers.bookkeep.provider import Bookkeep
from worker.providers.govapp.provider import GovApp
from worker.providers.realtime_register.provider import RealtimeRegister
from worker.rest.client import Client, Means
from worker.settings import SourceSettings


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
    }
)


def build(options: SourceSettings, means: Means | None = None) -> tuple[Provider, Client]:
    """The provider of a source, by its options; its client is to be closed when the provider is no longer used."""
    chosen = PROVIDERS[options.provider]
    client = chosen.client(options, means or Means())
    return chosen(options, client), client
