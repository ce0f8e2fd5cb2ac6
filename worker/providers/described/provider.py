"""Asking a provider that is known by its description alone (POLLING, section 8)."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import ClassVar

from worker.errors import ContractBroken
from worker.notification import Item, Notification, Outline, Outlined
from worker.provider import Contract, Order, Page, Paging, Window
from worker.providers.described.mapping import Translation
from worker.providers.described.requests import Requests, single
from worker.providers.described.times import Times
from worker.rest.answers import GONE, Refused
from worker.rest.auth import Auth, Basic, Bearer, Named
from worker.rest.client import Api, Client, Means, segment
from worker.rest.listing import Listing, pages_of
from worker.rest.reading import checked
from worker.settings import DescribedSource, Description, SourceSettings
from worker.settings.described import source_of
from worker.settings.expression import finder
from worker.settings.paging import CursorPage, LinkPage

_PAGING = {
    "offset": Paging.OFFSET,
    "page_number": Paging.PAGE_NUMBER,
    "link": Paging.NEXT_LINK,
    "cursor": Paging.CURSOR,
    "none": Paging.NONE,
}


class Described:
    """A provider whose contract, requests and mapping are its description. `provider_of` makes a class of one."""

    slug: ClassVar[str]
    options: ClassVar[type[SourceSettings]]
    contract: ClassVar[Contract]
    description: ClassVar[Description]

    def __init__(self, options: DescribedSource, client: Client) -> None:
        description, page = self.description, self.description.page
        self._client = client
        self._translation = Translation(description)
        self._item = finder(description.item)
        requests, when = Requests(description), Times.of(description).reader()
        at = finder(description.time.field) if description.time else None
        by_ids = page if isinstance(page, CursorPage) else None
        self._listing = Listing(
            request=requests.page,
            listed=requests.listed,
            key=self._translation.row_id,
            when=lambda row: when(at(row)) if at else None,
            size=options.page_size or page.ask,
            newest_first=by_ids is not None and by_ids.within == "newest_first",
            numeric=by_ids is not None and by_ids.ids == "decimal",
            overlap=options.overlap,
            goes_back=by_ids is not None and by_ids.before is not None and by_ids.first is None,
        )

    @classmethod
    def client(cls, options: DescribedSource, means: Means) -> Client:
        """A client with the source's credentials, shown as the description says."""
        base_url = options.base_url or cls.description.base_url or ""
        return Client(Api.of(options, base_url, _auth(cls.description, options)), means)

    def pages(self, window: Window) -> Iterator[Page]:
        """Every page of the window, in the way that the contract chooses. Raises ProviderError."""
        return pages_of(self._client, self.contract, self._listing, window)

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        """A description names no filters by later changes. Raises ContractBroken."""
        raise ContractBroken(f"{self.slug} can't be asked for {change} since {since}.")

    def fetch(self, external_id: str) -> Item | None:
        """One item; None for 404 and 410. Raises ProviderError, and ContractBroken where there is no get by id."""
        if self.description.by_id is None:
            raise ContractBroken(f"{self.slug} has no get by id; {external_id} was asked for.")
        path = self.description.by_id.replace("{id}", segment(external_id))
        try:
            item: Item = single(self.description, self._item, self._client.get(path))
        except Refused as refusal:
            if refusal.status in GONE:
                return None
            raise
        return item

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        """A description has no acknowledgement. Raises ContractBroken."""
        raise ContractBroken(f"{self.slug} has no acknowledgement; {len(external_ids)} were to be acknowledged.")

    def outline(self, item: Item, now: datetime) -> Outline:  # noqa: ARG002  # nothing here hangs on the clock
        """What the item's notification is known by. Raises ItemRejected without a usable id."""
        return self._translation.outline(item)

    def complete(self, outline: Outlined, now: datetime) -> Notification:  # noqa: ARG002  # nothing here hangs on the clock
        """The item by the rest of the map. Raises ItemRejected where a volatile member is nested too deeply."""
        if isinstance(outline, Notification):
            return outline
        if self.contract.volatile:
            checked(outline.raw)  # no hash was made of these
        return self._translation.complete(outline)

    def normalise(self, item: Item, now: datetime) -> Notification:  # noqa: ARG002  # nothing here hangs on the clock
        """The item by the description's map. Raises ItemRejected without a usable id."""
        return self._translation.notification(item)


def provider_of(slug: str, description: Description) -> type[Described]:
    """The provider that a description describes."""
    return provider_with(slug, source_of(description))


def provider_with(slug: str, options: type[DescribedSource]) -> type[Described]:
    """The provider whose sources these are."""
    members = {
        "slug": slug,
        "options": options,
        "contract": contract_of(options.description),
        "description": options.description,
        "__module__": __name__,
    }
    return type("Described", (Described,), members)


def contract_of(description: Description) -> Contract:
    """What a description says is known of the API."""
    page, time = description.page, description.time
    return Contract(
        paging=_PAGING[page.kind],
        order=Order[time.order.upper()] if time else Order.UNKNOWN,
        filters_from=bool(time and time.from_),
        filters_to=bool(time and time.to),
        time_field=time.field if time else None,
        grain=time.grain if time else timedelta(seconds=1),
        page_size=page.ask,
        by_id=description.by_id is not None,
        closed=frozenset(description.closed),
        volatile=frozenset(description.volatile),
        drifts=not (isinstance(page, LinkPage | CursorPage) and page.stable),
        from_id=isinstance(page, CursorPage) and page.after is not None,
        keep_for=description.keep_for,
    )


def shipped() -> Mapping[str, type[Described]]:
    """The providers whose descriptions come with Tocsin, by slug."""
    found = sorted(files("worker.providers.described").iterdir(), key=lambda file: file.name)
    texts = {file.name.removesuffix(".toml"): file.read_text("utf-8") for file in found if file.name.endswith(".toml")}
    return {slug: provider_of(slug, Description.model_validate(tomllib.loads(text))) for slug, text in texts.items()}


def _auth(description: Description, options: DescribedSource) -> Auth:
    shown = description.auth
    if options.token is not None:
        token = options.token.get_secret_value()
        return Named(shown.header, shown.prefix, token) if shown and shown.kind == "header" else Bearer(token)
    if options.username is not None and options.password is not None:
        return Basic(options.username, options.password.get_secret_value())
    return Auth()
