"""Asking Realtime Register (PROVIDERS, sections 1.1 to 1.4, 1.8, 1.9)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from worker.errors import ContractBroken
from worker.notification import Item, Notification
from worker.provider import Bounds, Contract, Order, Page, Paging, Window
from worker.providers.realtime_register import schema
from worker.providers.realtime_register.normalise import normalise
from worker.providers.realtime_register.options import RealtimeRegisterOptions
from worker.rest.answers import GONE, Answer, Refused
from worker.rest.auth import ApiKey
from worker.rest.client import Api, Client, Means, Parameters, segment
from worker.rest.paging import Reading, anchored_offset
from worker.settings import SourceSettings


class RealtimeRegister:
    """The notifications of one customer, oldest first. Nothing it asks but an acknowledgement changes anything."""

    slug: ClassVar[str] = "realtime_register"
    options: ClassVar[type[SourceSettings]] = RealtimeRegisterOptions
    contract: ClassVar[Contract] = Contract(
        paging=Paging.OFFSET,
        order=Order.OLDEST_FIRST,
        filters_from=True,
        filters_to=False,
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
        return Client(Api.of(options, schema.PRODUCTION, ApiKey(options.api_key.get_secret_value())), means)

    def pages(self, window: Window) -> Iterator[Page]:
        """Every page of the window, ordered by `fireDate` and `id`.

        Raises ProviderError; ContractBroken with a hint where the customer is not known.
        """

        def read(offset: int, size: int) -> Reading:
            return schema.listed(self._list([*_query(window), ("limit", size), ("offset", offset)]))

        yield from anchored_offset(read, self._page_size, schema.row_id, tie=schema.fired)

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

    def _list(self, parameters: Parameters) -> Answer:
        try:
            return self._client.get(self._path, parameters)
        except Refused as refusal:
            if refusal.status in GONE or refusal.kind == schema.NO_OBJECT:
                hint = "Is the source's customer the handle of the account that its api_key belongs to?"
                raise Refused(f"{refusal.detail}. {hint}", refusal.status, refusal.kind) from None
            raise


def _query(window: Window) -> list[tuple[str, str]]:
    """`id` after `fireDate`: many notifications may share one second. The first bound includes itself."""
    query = [("order", schema.FIRED), ("order", schema.ID)]
    if window.start:
        query.append((f"{schema.FIRED}:gte", schema.time_bound(window.start)))
    if window.end:
        query.append((f"{schema.FIRED}:lte", schema.time_bound(window.end + timedelta(seconds=1))))
    return query
