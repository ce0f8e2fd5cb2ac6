"""One way to read any list: its contract chooses how it is paged (POLLING, sections 1 and 3)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from functools import partial
from itertools import islice

from worker.errors import ContractBroken
from worker.provider import Contract, Order, Page, Paging, Window
from worker.rest.answers import Answer, Refused
from worker.rest.ascending import ascending
from worker.rest.client import Client, Parameters
from worker.rest.ids import Ids, backward, onward
from worker.rest.paging import Key, Reading, anchored_offset, next_cursor, next_link, page_numbers
from worker.rest.seen import lightly, of_seen
from worker.rest.trail import Look
from worker.rest.visit import Visit
from worker.rest.windows import When, Windowed, windows


class Way(Enum):
    """How a list is read to its end."""

    LINKS = "next link"
    CURSORS = "next cursor"
    IDS = "from the last known id"
    WINDOWS = "windows halved until each fits a page"
    ASCENDING = "ascending, always the first page"
    PAGES = "page by page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one request asks for: the times, and where in them, in the one way that the API is paged."""

    window: Window
    size: int
    offset: int | None = None
    number: int | None = None
    cursor: str | None = None
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list as a provider knows it: a request's path and parameters, an answer's rows, a row's id and time.

    Only for reading from ids: `newest_first` and `numeric` as in `Ids`, `overlap` how late a row may be shown, and
    `goes_back`: without an id, it gives the newest rows, and can be asked for what precedes one.
    """

    request: Callable[[Ask], tuple[str, Parameters]]
    listed: Callable[[Answer], Reading]
    key: Key
    when: When
    size: int
    newest_first: bool = True
    numeric: bool = False
    overlap: timedelta = timedelta()
    goes_back: bool = False


def way(contract: Contract, window: Window) -> Way:
    """The first of POLLING's section 3 that the API can do.

    Windows need filters from and to; where rows come oldest first, only a window with an end is halved. A pass that is
    not filtered at all holds rows without a time too, which a filter would leave out: it is paged.
    """
    if contract.paging is Paging.NEXT_LINK:
        return Way.LINKS
    if contract.paging is Paging.CURSOR:
        return Way.IDS if contract.from_id else Way.CURSORS
    oldest_first = contract.filters_from and contract.order is Order.OLDEST_FIRST
    unpaged = contract.paging is Paging.NONE
    if (
        contract.filters_from
        and contract.filters_to
        and (window.end or (not oldest_first and (window.start or unpaged)))
    ):
        return Way.WINDOWS
    if oldest_first and (window.start or unpaged):
        return Way.ASCENDING
    return Way.PAGES


def pages_of(client: Client, contract: Contract, listing: Listing, window: Window) -> Iterator[Page]:
    """Every page of the window, and what the answers say besides. Raises ProviderError.

    Where an earlier poll was cut short, only those that are not stored yet.
    """
    found = way(contract, window)
    visit = Visit(client, contract, window, partial(lightly, listing.key, None if found in _UNTIMED else listing.when))
    seen = replace(listing, key=of_seen(listing.key, "name"), when=of_seen(listing.when, "at"))
    reader = _Reader(client, contract, seen, visit)
    pages = visit.told(_WAYS[found](reader, window))
    return islice(pages, window.answered.pages if window.answered else 0, None)


@dataclass(frozen=True, slots=True)
class _Reader:
    """One pass over one list."""

    client: Client
    contract: Contract
    listing: Listing
    visit: Visit

    def read(self, ask: Ask) -> Reading:
        return self.visit.read(self.listing.listed, *self.listing.request(ask))

    def links(self, window: Window) -> Iterator[Page]:
        listing = self.listing
        start = self.client.address(*listing.request(Ask(window=window, size=listing.size)))
        return next_link(
            lambda address: self.visit.read(listing.listed, address), start, listing.key, drifts=self.contract.drifts
        )

    def cursors(self, window: Window) -> Iterator[Page]:
        ask = Ask(window=window, size=self.listing.size)
        return next_cursor(
            lambda cursor: self.read(replace(ask, cursor=cursor)), self.listing.key, drifts=self.contract.drifts
        )

    def windows(self, window: Window) -> Iterator[Page]:
        return windows(self._windowed(), window)

    def ascending(self, window: Window) -> Iterator[Page]:
        return ascending(self._windowed(), window)

    def paged(self, window: Window) -> Iterator[Page]:
        pages = self._paged(window, self.read)
        return _whole(pages) if self.contract.paging is Paging.NONE else pages

    def _paged(self, window: Window, read: Callable[[Ask], Reading]) -> Iterator[Page]:
        ask, listing = Ask(window=window, size=self.listing.size), self.listing
        if self.contract.paging is Paging.OFFSET:
            by_offset = partial(_at, read, ask, "offset")
            return anchored_offset(by_offset, listing.size, listing.key, listing.when)
        if self.contract.paging is Paging.PAGE_NUMBER:
            return page_numbers(partial(_at, read, ask, "number"), listing.size, listing.key)
        return _only(read(ask))

    def _looks(self, window: Window) -> Iterator[Look]:
        """Each page of a window, with the reading that it was made of."""
        readings: list[Reading] = []

        def read(ask: Ask) -> Reading:
            readings[:] = [self.read(ask)]
            return readings[0]

        for page in self._paged(window, read):
            yield Look(page, readings[0])

    def _windowed(self) -> Windowed:
        paged = self.contract.paging is not Paging.NONE
        return Windowed(
            pages=self._looks,
            paged=paged,
            key=self.listing.key,
            when=self.listing.when,
            size=max(self.listing.size, 2) if paged else self.listing.size,
            grain=self.contract.grain,
        )

    def ids(self, window: Window) -> Iterator[Page]:
        """On from the position that was kept; where that is of no more use, as at the very beginning."""
        after = window.after_id
        if after is None or self._forgotten(window):
            yield from self._from_scratch(window)
            return
        pages = self._onward(window, after)
        try:
            first = next(pages)
        except Refused:
            yield from self._from_scratch(window)
            return
        yield first
        yield from pages

    def _forgotten(self, window: Window) -> bool:
        """Whether the kept id is older than the API keeps what it has; a pass begins about where the last one ended."""
        keep_for = self.contract.keep_for
        return bool(keep_for and window.start and self.client.now() - window.start > keep_for)

    def _from_scratch(self, window: Window) -> Iterator[Page]:
        if not self.listing.goes_back:
            return self._onward(window, None)
        ask = Ask(window=window, size=self.listing.size)
        return backward(partial(_at, self.read, ask, "before"), self._ids(window), self.listing.size)

    def _onward(self, window: Window, after: str | None) -> Iterator[Page]:
        ask = Ask(window=replace(window, start=None, end=None) if after else window, size=self.listing.size)
        return onward(partial(_at, self.read, ask, "after"), self._ids(window), after, self.listing.size)

    def _ids(self, window: Window) -> Ids:
        listing = self.listing
        return Ids(
            key=listing.key,
            when=listing.when,
            newest_first=listing.newest_first,
            numeric=listing.numeric,
            overlap=listing.overlap,
            begun_at=window.begun_at,
        )


def _at(read: Callable[[Ask], Reading], ask: Ask, place: str, position: int | str | None, size: int) -> Reading:
    """The page at a position of the kind that `place` names."""
    return read(replace(ask, size=size, **{place: position}))  # type: ignore[arg-type]  # as the kind has it


def _only(reading: Reading) -> Iterator[Page]:
    """The one page of a list that has no other. Not `last`: the answer doesn't say that it is all."""
    whole = reading.more is False or reading.total == len(reading.rows) or not reading.rows
    if reading.more or (reading.total or 0) > len(reading.rows):
        yield Page(items=reading.rows, last=False, server_date=reading.server_date)
        raise ContractBroken("It has more than one page, and there is no way to ask for the others.")
    yield Page(items=reading.rows, last=whole, server_date=reading.server_date)


def _whole(pages: Iterator[Page]) -> Iterator[Page]:
    return (replace(page, last=True) for page in pages)


_UNTIMED = frozenset({Way.LINKS, Way.CURSORS})
"""Ways to read that look at no row's time."""

_WAYS: Mapping[Way, Callable[[_Reader, Window], Iterator[Page]]] = {
    Way.LINKS: _Reader.links,
    Way.CURSORS: _Reader.cursors,
    Way.IDS: _Reader.ids,
    Way.WINDOWS: _Reader.windows,
    Way.ASCENDING: _Reader.ascending,
    Way.PAGES: _Reader.paged,
}
