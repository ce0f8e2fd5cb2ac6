"""Asking Bookkeep (PROVIDERS, sections 2.1 to 2.4, 2.8, 2.9)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from worker.errors import ContractBroken
from worker.notification import Item, Notification
from worker.provider import Contract, Order, Page, Paging, Provider, Window
from worker.providers.bookkeep import schema
from worker.providers.bookkeep.normalise import normalise
from worker.providers.bookkeep.options import BookkeepOptions
from worker.rest.answers import GONE, Refused
from worker.rest.auth import Basic
from worker.rest.client import Api, Client, Means, Parameters, segment
from worker.rest.listing import Ask, Listing, pages_of
from worker.settings import SourceSettings


class Bookkeep(Provider):
    """The notifications that a user may see, newest first; the API can't be asked for a time, nor for changes."""

    slug: ClassVar[str] = "bookkeep"
    options: ClassVar[type[SourceSettings]] = BookkeepOptions
    contract: ClassVar[Contract] = Contract(
        paging=Paging.PAGE_NUMBER,
        order=Order.NEWEST_FIRST,
        filters_from=False,
        filters_to=False,
        time_field=None,
        grain=timedelta(milliseconds=1),
        page_size=100,
        by_id=True,
    )

    def __init__(self, options: BookkeepOptions, client: Client) -> None:
        self._client = client
        self._organization_id = options.organization_id
        self._page_size = options.page_size or self.contract.page_size

    @staticmethod
    def client(options: BookkeepOptions, means: Means) -> Client:
        """A client with the source's two keys, as HTTP Basic."""
        auth = Basic(options.publishable_key.get_secret_value(), options.secret_key.get_secret_value())
        return Client(Api.of(options, schema.PRODUCTION, auth), means)

    def pages(self, window: Window) -> Iterator[Page]:
        """Every page, newest first, whatever the window's time; only the organization's rows where one is configured.

        Raises ProviderError.
        """
        listing = Listing(
            request=self._request,
            listed=schema.listed,
            key=schema.row_id,
            when=schema.created_at,
            size=self._page_size,
        )
        for page in pages_of(self._client, self.contract, listing, window):
            yield replace(page, items=[row for row in page.items if schema.belongs(row, self._organization_id)])

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        """The API can't be asked for later changes (section 2.8). Raises ContractBroken."""
        raise ContractBroken(f"Bookkeep can't be asked for {change} since {since}.")

    def fetch(self, external_id: str) -> Item | None:
        """One item; None for 404 and 410, but not where the API says that there is no such address (section 2.9).

        Raises ProviderError.
        """
        try:
            return schema.single(self._client.get(f"notifications/{segment(external_id)}"))
        except Refused as refusal:
            if refusal.status in GONE and refusal.kind != schema.UNKNOWN_URL:
                return None
            raise

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        """Nothing of the kind is documented (section 2.2). Raises ContractBroken."""
        raise ContractBroken(f"Bookkeep has no acknowledgement; {len(external_ids)} were to be acknowledged.")

    def normalise(self, item: Item, now: datetime) -> Notification:  # noqa: ARG002  # nothing here hangs on the clock
        """The item by the mapping table (section 2.11). Raises ItemRejected without a usable id."""
        return normalise(item)

    def _request(self, ask: Ask) -> tuple[str, Parameters]:
        query: list[tuple[str, str | int]] = [
            ("page[number]", ask.number or 1),
            ("page[size]", ask.size),
            ("sort", "-created_at"),
        ]
        if self._organization_id is not None:
            query.append(("filter[organization_id_eq]", self._organization_id))
        return "notifications", query
