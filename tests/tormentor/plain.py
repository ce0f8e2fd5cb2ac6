"""Reading as many a tool does it: each piece without one of the guards that worker.rest has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from worker.provider import Contract, Page, Paging, Window
from worker.rest.client import Client
from worker.rest.listing import Ask, Listing, pages_of
from worker.rest.paging import Reading

End = Callable[[Reading, int, int], bool]
"""Whether a page is taken for the last: by its reading, by how many were asked for, and by how many came so far."""

Step = Callable[[int, int], int]
"""How much further the next offset is: by how many rows were asked for, and how many came."""


def empty(reading: Reading, _asked: int, _so_far: int) -> bool:
    """An empty page, or one without a next link, is the last."""
    return not reading.rows or reading.more is False


def fewer_than_asked(reading: Reading, asked: int, _so_far: int) -> bool:
    """A page that isn't full is the last."""
    return len(reading.rows) < asked


def the_total(reading: Reading, asked: int, so_far: int) -> bool:
    """The total says when all has come."""
    return so_far >= reading.total if reading.total is not None else empty(reading, asked, so_far)


def as_received(_asked: int, received: int) -> int:
    """On by what came, without an anchor."""
    return received


def as_asked(asked: int, _received: int) -> int:
    """On by what was asked for, whatever came."""
    return asked


@dataclass(frozen=True)
class Plain:
    """Page by page, by offset, number, link or cursor."""

    end: End = empty
    step: Step = as_received

    def __call__(self, client: Client, contract: Contract, listing: Listing, window: Window) -> Iterator[Page]:
        ask = _first(Ask(window=window, size=listing.size), contract)
        so_far = 0
        while True:
            reading = listing.listed(client.get(*listing.request(ask)))
            so_far += len(reading.rows)
            last = self.end(reading, ask.size, so_far)
            yield Page(items=reading.rows, last=last, server_date=reading.server_date)
            if last:
                return
            further = self.step(ask.size, len(reading.rows))
            if contract.paging is Paging.OFFSET:
                ask = replace(ask, offset=(ask.offset or 0) + further)
            else:
                ask = replace(ask, number=(ask.number or 1) + 1)


def _first(ask: Ask, contract: Contract) -> Ask:
    return replace(ask, number=1) if contract.paging is Paging.PAGE_NUMBER else replace(ask, offset=0)


def following_any_link(client: Client, _: Contract, listing: Listing, window: Window) -> Iterator[Page]:
    """Wherever a link leads to, and as often."""
    address = client.address(*listing.request(Ask(window=window, size=listing.size)))
    while True:
        reading = listing.listed(client.get(address))
        yield Page(items=reading.rows, last=reading.next is None, server_date=reading.server_date)
        if reading.next is None:
            return
        address = reading.next


def only_what_is_new(client: Client, contract: Contract, listing: Listing, window: Window) -> Iterator[Page]:
    """On a filter that rows leave: `status=new`."""

    def request(ask: Ask) -> Any:
        path, parameters = listing.request(ask)
        return f"new/{path}", parameters

    return pages_of(client, contract, replace(listing, request=request), window)


def without_grain(client: Client, contract: Contract, listing: Listing, window: Window) -> Iterator[Page]:
    """In windows that touch, but don't overlap."""

    def request(ask: Ask) -> Any:
        start, end = ask.window.start, ask.window.end
        start = start + contract.grain if start and start != window.start else start
        end = end - contract.grain if end and end != window.end else end
        return listing.request(replace(ask, window=Window(start, end)))

    return pages_of(client, contract, replace(listing, request=request), window)
