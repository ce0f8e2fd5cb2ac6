"""Asking Realtime Register (PROVIDERS, sections 1.1 to 1.4, 1.8, 1.9)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from worker.errors import ContractBroken
from worker.notification import Item, Notification
from worker.provider import Bounds, Contract, Order, Page, Paging, Provider, Window
from worker.providers.realtime_register import schema
from worker.providers.realtime_register.normalise import normalise
from worker.providers.realtime_register.options import RealtimeRegisterOptions
from worker.rest.answers import GONE, Refused
from worker.rest.auth import ApiKey
from worker.rest.client import Api, Client, Means, Parameters, segment
from worker.rest.listing import Ask, Listing, pages_of
from worker.settings import SourceSettings


class RealtimeRegister(Provider):
    """The notifications of one customer, oldest first. Nothing it asks but an acknowledgement changes anything."""

    slug: ClassVar[str] = "realtime_register"
    options: ClassVar[type[SourceSettings]] = RealtimeRegisterOptions
    contract: ClassVar[Contract] = Contract(
        paging=Paging.OFFSET,
        order=Order.OLDEST_FIRST,
        filters_from=True,
        filters_to=True,
        time_field=schema.FIRED,
        bounds=Bounds.INCLUSIVE,
        grain=timedelta(seconds=1),
        page_size=100,
        by_id=True,
        acknowledges=True,
        later_changes=(schema.ACKNOWLEDGED, schema.READ),
        volatile=frozenset({schema.DELIVERED}),
    )

    def __init__(self, options: RealtimeRegisterOptions, client: Client) -> None:
        self._client = client
        self._path = f"customers/{segment(options.customer)}/notifications"
        self._page_size = options.page_size or self.contract.page_size

    @staticmethod
    def client(options: RealtimeRegisterOptions, means: Means) -> Client:
        """A client with the source's API key."""
        api = Api.of(options, schema.PRODUCTION, ApiKey(options.api_key.get_secret_value()))
        return Client(replace(api, back_at=schema.back_at), means)

    def pages(self, window: Window) -> Iterator[Page]:
        """Every page of the window, ordered by `fireDate` and `id`.

        Raises ProviderError; ContractBroken with a hint where the customer is not known.
        """
        yield from self._rows(schema.FIRED, window)

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        """Every page of the rows that were read, or acknowledged, since; in the order in which they were (section 1.3).

        Raises ProviderError.
        """
        yield from self._rows(change, Window(start=since))

    def fetch(self, external_id: str) -> Item | None:
        """One item; None for 404, 410, and the 400 with which the API says that there is no such thing (section 1.9).

        Raises ProviderError.
        """
        try:
            answer = self._client.get(f"{self._path}/{segment(external_id)}")
        except Refused as refusal:
            if refusal.status in GONE or refusal.kind == schema.NO_OBJECT:
                return None
            raise
        if not isinstance(answer.json, dict):
            raise ContractBroken("A single notification is an object.")
        return answer.json

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        """Acknowledge each; this hides it from all who poll the same queue.

        What a second acknowledgement of the same item answers is not documented (section 1.8), and we may well repeat
        one that a crash kept us from noting down. So a refusal of one item (any 4xx but for credentials and rate
        limits: acknowledged already, gone, prohibited by its state) is taken for done, and the others go on. Raises
        the other ProviderErrors.
        """
        for external_id in external_ids:
            try:
                self._client.post(f"{self._path}/{segment(external_id)}/ack")
            except Refused:
                continue

    def normalise(self, item: Item, now: datetime) -> Notification:  # noqa: ARG002  # nothing here hangs on the clock
        """The item by the mapping table (section 1.11). Raises ItemRejected without a usable id."""
        return normalise(item)

    def _rows(self, field: str, window: Window) -> Iterator[Page]:
        """Every page of the rows whose `field` lies in the window, in its order."""

        def request(ask: Ask) -> tuple[str, Parameters]:
            return self._path, [*_query(field, ask.window), ("limit", ask.size), ("offset", ask.offset or 0)]

        listing = Listing(
            request=request,
            listed=schema.listed,
            key=schema.row_id,
            when=partial(schema.time_of, field),
            size=self._page_size,
        )
        try:
            yield from pages_of(self._client, self.contract, listing, window)
        except Refused as refusal:
            if refusal.status in GONE or refusal.kind == schema.NO_OBJECT:
                hint = "Is the source's customer the handle of the account that its api_key belongs to?"
                raise Refused(f"{refusal.detail}. {hint}", refusal.status, refusal.kind) from None
            raise


def _query(field: str, window: Window) -> list[tuple[str, str | int]]:
    """`id` after the time: many notifications may share one second. The first bound includes itself."""
    query: list[tuple[str, str | int]] = [("order", field), ("order", schema.ID)]
    if window.start:
        query.append((f"{field}:gte", schema.time_bound(window.start)))
    if window.end:
        query.append((f"{field}:lte", schema.time_bound(window.end + timedelta(seconds=1))))
    return query
