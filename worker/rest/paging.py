"""Reading an API's pages to the end: what is asked next, and when it is the end (POLLING, section 3). Pure.

Nothing here knows of HTTP: each takes a way to read one page and a row's key. Every row that was there for the
whole pass is yielded. Exactly the final page says `last`; a page holds no items where a request gave nothing that was
not yielded before. Offsets: anchored.py.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any, Generic, TypeVar
from urllib.parse import urljoin, urlsplit

from worker.errors import ContractBroken
from worker.provider import Page
from worker.rest.anchored import anchored_offset
from worker.rest.trail import Key, Reading, Trail, nothing_more

_FAR, _FAR_ROWS = 4, 100
"""Pages, and rows, whichever are more: further than rows are inserted between two requests."""

_PORTS = {"http": 80, "https": 443}
_UNREADABLE = "Its next page has no address that can be read."
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Link(Generic[P]):
    """Where the first page is, and where the next one is by what a page says of it."""

    start: P
    onward: Callable[[P, str], P]


def page_numbers(read: Callable[[int, int], Reading], size: int, key: Key) -> Iterator[Page]:
    """Every page of an API that numbers them from 1; `read(number, size)` asks for one.

    Numbered pages have no anchor. So, in a pass of more than one page, each page is read again after the one that
    follows it: rows in it that were not seen were pushed up across the border by rows that vanished above, which counts
    as one repair; where even its first row is new, the page before it is read again as well. A row that appears above
    in the same moment can hide that; the next pass finds what it hid.
    A server that gives fewer rows than asked, and says that more follow, caps its pages: the cap is asked for from then
    on. The end is a page that says that none follows, or an empty one. The same page for two numbers is all there is if
    it comes for one far away as well; else it was a mistake, and is asked for again.

    Raises ContractBroken when the pages have no end.
    """
    trail, number = Trail(key), 1
    before: Reading | None = None
    while True:
        reading = read(number, size)
        last = reading.more is False or not reading.rows
        yield trail.page(reading, confirmed=before is None, last=last and before is None)
        if before is not None:
            again = yield from _border(read, number - 1, size, trail, last=last)
            if not last and trail.same(again.rows, before.rows) and trail.same(reading.rows, before.rows):
                far = read(number + max(_FAR, _FAR_ROWS // size), size)
                ended = trail.same(far.rows, before.rows)
                if ended:
                    nothing_more(trail, reading)
                yield trail.page(far, confirmed=False, last=ended)
                if ended:
                    return
                continue
        if last:
            return
        position = (number - 1) * size + len(reading.rows)
        number = number + 1 if len(reading.rows) >= size else position // len(reading.rows) + 1
        size = min(size, len(reading.rows))
        before = reading


def next_link(read: Callable[[str], Reading], start: str, key: Key, *, drifts: bool = False) -> Iterator[Page]:
    """Every page of an API that gives the address of the next one; `read(address)` asks for one.

    The end is a page without such an address. `drifts`: as `linked` says. Raises ContractBroken for an address of
    another origin, for one that was read before, and when the pages have no end.
    """

    def onward(address: str, link: str) -> str:
        try:
            joined = urljoin(address, link)
        except ValueError:
            raise ContractBroken(_UNREADABLE) from None
        if _origin(joined) != _origin(start):
            raise ContractBroken("Its next page is at another host, which is not followed.")
        return joined

    return linked(read, Link(start, onward), key, drifts=drifts)


def next_cursor(read: Callable[[str | None], Reading], key: Key, *, drifts: bool = False) -> Iterator[Page]:
    """Every page of an API that gives a cursor for the next one; the first page is asked for without.

    The end is a page without a cursor. `drifts`: as `linked` says. Raises ContractBroken for a cursor that was used
    before, and when the pages have no end.
    """
    link: Link[str | None] = Link(None, lambda _, cursor: cursor)
    return linked(read, link, key, drifts=drifts)


def linked(read: Callable[[P], Reading], link: Link[P], key: Key, *, drifts: bool) -> Iterator[Page]:
    """Every page of an API each of whose pages tells where the next one is.

    `drifts`: what follows a page's place is not what followed its rows, as where links hold page numbers. So pages are
    read again as `page_numbers` does. Raises ContractBroken for a page that was read before, and without end.
    """
    trail, places = Trail(key), [link.start]
    visited = {link.start}
    settled = True
    while True:
        reading = read(places[-1])
        last = reading.next is None
        yield trail.page(reading, confirmed=settled, last=last and settled)
        if not settled:
            yield from _border(lambda number, _: read(places[number - 1]), len(places) - 1, 0, trail, last=last)
        if reading.next is None:
            return
        place = link.onward(places[-1], reading.next)
        if place in visited:
            raise ContractBroken("Its next page is one that was read before.")
        visited.add(place)
        places.append(place)
        settled = not drifts


def _border(
    read: Callable[[int, int], Reading], number: int, size: int, trail: Trail, *, last: bool
) -> Generator[Page, None, Reading]:
    """Read a page again, and those before it while they begin with rows not seen before; the first of these readings.

    What the page that follows gave doesn't count as seen: where its rows have moved up to, others may have before them.
    """
    first: Reading | None = None
    mended = False
    while True:
        reading = read(number, size)
        first = first or reading
        reached = number == 1 or (bool(reading.rows) and trail.confirmed(reading.rows[0]))
        repairs = 1 if not mended and _pushed_up(reading.rows, trail, number) else 0
        mended = mended or repairs > 0
        yield trail.page(reading, confirmed=False, last=last and reached, repairs=repairs)
        if reached:
            trail.confirm_all()
            return first
        number -= 1


def _pushed_up(rows: Sequence[Any], trail: Trail, number: int) -> bool:
    """Whether there are new rows that came from below: on the first page, those at the top are inserted ones."""
    known = [trail.known(row) for row in rows]
    return not all(known if number > 1 else dropwhile(lambda seen: not seen, known))


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        raise ContractBroken(_UNREADABLE) from None


__all__ = ["Key", "Reading", "anchored_offset", "next_cursor", "next_link", "page_numbers"]
