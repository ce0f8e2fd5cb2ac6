"""Asking GovApp (PROVIDERS, sections 3.1 to 3.4, 3.8)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import uuid4

from worker.errors import ContractBroken
from worker.notification import Item, Notification
from worker.provider import Contract, Order, Page, Paging, Provider, Window
from worker.providers.govapp import schema
from worker.providers.govapp.normalise import normalise
from worker.providers.govapp.options import BearerToken, GovAppOptions, OAuth2, UserPassword
from worker.rest.auth import Auth, Basic, Bearer
from worker.rest.client import Api, Client, Means, Parameters, headers_of, tls_of
from worker.rest.listing import Ask, Listing, pages_of
from worker.rest.oauth import ClientCredentials, Grant, PrivateKey, SharedSecret
from worker.rest.wire import Wire
from worker.settings import SourceSettings


class GovApp(Provider):
    """The push notifications that we sent, in whatever order the API gives them; there is no get by id."""

    slug: ClassVar[str] = "govapp"
    options: ClassVar[type[SourceSettings]] = GovAppOptions
    contract: ClassVar[Contract] = Contract(
        paging=Paging.OFFSET,
        order=Order.UNKNOWN,
        filters_from=True,
        filters_to=True,
        time_field=schema.CREATED_ON,
        grain=timedelta(seconds=1),
        page_size=100,
        by_id=False,
        volatile=frozenset({schema.EVENTS}),
    )

    def __init__(self, options: GovAppOptions, client: Client) -> None:
        self._client = client
        self._time_format = options.time_format
        self._page_size = options.page_size or self.contract.page_size

    @staticmethod
    def client(options: GovAppOptions, means: Means) -> Client:
        """A client with the source's credentials; every request, page and retry has a correlation id of its own."""
        api = Api.of(options, options.base_url, _auth(options, means))
        return Client(replace(api, fresh_headers=_correlation), means)

    def pages(self, window: Window) -> Iterator[Page]:
        """Every page of the window, unfiltered by status.

        What comes is not filtered by time again: a row with a wrong date is to be kept as well. Raises ProviderError.
        """
        listing = Listing(
            request=self._request,
            listed=schema.listed,
            key=schema.row_id,
            when=schema.created_on,
            size=self._page_size,
        )
        return pages_of(self._client, self.contract, listing, window)

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        """The API can't be asked for later changes (section 3.8). Raises ContractBroken."""
        raise ContractBroken(f"GovApp can't be asked for {change} since {since}.")

    def fetch(self, external_id: str) -> Item | None:
        """The API has no get by id (section 3.2). Raises ContractBroken."""
        raise ContractBroken(f"GovApp has no get by id; {external_id} was asked for.")

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        """The API has no acknowledgement (section 3.2). Raises ContractBroken."""
        raise ContractBroken(f"GovApp has no acknowledgement; {len(external_ids)} were to be acknowledged.")

    def normalise(self, item: Item, now: datetime) -> Notification:
        """The item by the mapping table (section 3.11); `now` decides what has expired.

        Raises ItemRejected without a usable id.
        """
        return normalise(item, now)

    def _request(self, ask: Ask) -> tuple[str, Parameters]:
        return "notifications", [*self._bounds(ask.window), ("limit", ask.size), ("offset", ask.offset or 0)]

    def _bounds(self, window: Window) -> list[tuple[str, str | int]]:
        bounds: list[tuple[str, str | int]] = []
        if window.start:
            bounds.append(("sentAfter", schema.time_bound(window.start, self._time_format)))
        if window.end:
            bounds.append(("sentBefore", schema.time_bound(window.end, self._time_format, up=True)))
        return bounds


def _correlation() -> Mapping[str, str]:
    """Unique over all requests of one consumer (section 3.1)."""
    return {schema.CORRELATION: str(uuid4())}


def _auth(options: GovAppOptions, means: Means) -> Auth:
    shown = options.auth
    if isinstance(shown, BearerToken):
        return Bearer(shown.token.get_secret_value())
    if isinstance(shown, UserPassword):
        return Basic(shown.username, shown.password.get_secret_value())
    wire = Wire(tls_of(options), means.limits, means.sleep)
    grant = _grant(shown, headers_of(options))
    return ClientCredentials(grant, wire, means.clock, means.tokens, means.sleep)


def _grant(oauth: OAuth2, headers: Mapping[str, str]) -> Grant:
    proof: SharedSecret | PrivateKey
    if oauth.private_key is not None:
        pem = oauth.private_key.get_secret_value()
        proof = PrivateKey(pem=pem, audience=oauth.assertion_audience, key_id=oauth.key_id)
    else:
        proof = SharedSecret(secret=oauth.client_secret.get_secret_value() if oauth.client_secret else "")
    return Grant(
        token_url=oauth.token_url,
        client_id=oauth.client_id,
        proof=proof,
        audience=oauth.audience,
        resource=oauth.resource,
        scope=oauth.scope,
        headers=headers,
    )
