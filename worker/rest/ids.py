"""Reading on from an id that is known, forwards, or back to the oldest (POLLING, sections 2 and 3). Pure.

What a pass keeps for the next one is no row's end but an id: the newest one that is older than the overlap, so that
rows which the provider shows late are read as well.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from worker.errors import ContractBroken
from worker.provider import Page
from worker.rest.trail import Key, Reading, Trail
from worker.rest.windows import When

_FUTURE_GRACE = timedelta(seconds=5)
_WIDEST = 64
"""Times the size asked for: as many rows without a usable id may stand in a row."""

ReadFrom = Callable[[str | None, int], Reading]
"""One page: from an id on (None: from the beginning, or the end), so many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What is known of ids and rows. `numeric`: ids are decimal and grow; else the order of a page tells.

    `newest_first` is the order of the rows within a page; `overlap` how late a row may be shown. What was made after
    `begun_at` says nothing of that: what is shown late meanwhile may have been passed already.
    """

    key: Key
    when: When
    newest_first: bool
    numeric: bool
    overlap: timedelta
    begun_at: datetime | None = None

    def oldest_first(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of one page in the order of their ids."""
        return list(reversed(rows)) if self.newest_first else list(rows)

    def edge(self, rows: Sequence[Any], *, newest: bool) -> str | None:
        """The newest, or the oldest, id of rows that are oldest first; None where none is usable."""
        named = [name for row in rows if (name := self.key(row)) is not None]
        if self.numeric:
            named = sorted((name for name in named if name.isascii() and name.isdecimal()), key=int)
        return (named[-1] if newest else named[0]) if named else None


def onward(read: ReadFrom, ids: Ids, after: str | None, size: int) -> Iterator[Page]:
    """Every row that follows an id, oldest first; `read(id, size)` gives those immediately newer.

    The end is an empty page, or one that says that no more follow. Raises ContractBroken when the pages have no end,
    or a whole page has no usable id.
    """
    kept = _Kept(ids, after)
    for page, rows, at in _walk(read, ids, after, size, newest=True):
        kept.pass_over(rows, at)
        yield replace(page, newest_id=kept.position)


def backward(read: ReadFrom, ids: Ids, size: int) -> Iterator[Page]:
    """Every row from the newest to the oldest; `read(id, size)` gives those immediately older.

    The rows of a page come as the provider gives them. The position that may be kept stands on the last page alone.
    """
    found: list[list[Any]] = []
    done = _Kept(ids, None)
    for page, rows, at in _walk(read, ids, None, size, newest=False):
        if done.position is None:
            found.insert(0, rows)
            done = _Kept(ids, None)
            done.pass_over([row for part in found for row in part], at)
        yield replace(page, newest_id=done.position if page.last else None)


def _walk(
    read: ReadFrom, ids: Ids, start: str | None, size: int, *, newest: bool
) -> Iterator[tuple[Page, list[Any], datetime | None]]:
    """Page by page from an id to the end; with each, its rows, oldest first, and the server's time.

    The same page twice may be the last answer once more, by mistake; the third time it is all there is.
    """
    trail, position, asked = Trail(ids.key), start, size
    suspected = False
    while True:
        reading = read(position, asked)
        rows = ids.oldest_first(reading.rows)
        page = trail.page(replace(reading, rows=rows if newest else reading.rows))
        edge = ids.edge(rows, newest=newest)
        stuck = not page.items and (edge == position or asked > size) and not (edge is None and reading.more)
        ended = not rows or reading.more is False or (stuck and suspected)
        yield replace(page, last=ended), rows, reading.server_date
        if ended:
            return
        if suspected := stuck:
            continue
        if edge is None and (asked >= size * _WIDEST or (asked > size and not page.items)):
            raise ContractBroken("Too many rows in a row have no usable id, and it can only be read on from one.")
        position, asked = (position, asked * 2) if edge is None else (edge, size)


class _Kept:
    """The newest id that is older than the overlap: older rows may still be shown after those that are newer."""

    def __init__(self, ids: Ids, position: str | None) -> None:
        self.position = position
        self._ids = ids
        self._newest: datetime | None = None
        self._before: datetime | None = None
        self._any_ahead = False
        self._open: deque[tuple[str, datetime | None]] = deque()

    def pass_over(self, rows: Iterable[Any], server_date: datetime | None) -> None:
        """More rows, oldest first, were given. One that is future-dated or undated counts as old as the one before.

        Where there is none, as the next that has a date.
        """
        for row in rows:
            at, name = self._ids.when(row), self._ids.edge([row], newest=True)
            if at is None or (server_date is not None and at > server_date + _FUTURE_GRACE):
                self._any_ahead = self._any_ahead or at is not None
                at = self._before
            elif self._ids.begun_at is None or at <= self._ids.begun_at + _FUTURE_GRACE:
                self._newest = at if self._newest is None else max(self._newest, at)
            self._before = at
            if name is not None:
                self._open.append((name, at))
        first = next((at for _, at in self._open if at is not None), None)
        while self._open and self._is_settled(self._open[0][1] or first):
            self.position = self._open.popleft()[0]

    def _is_settled(self, at: datetime | None) -> bool:
        """Where rows have no dates at all, each is. Where all dates are ahead of us, by whose clock ever, none is."""
        if at is None:
            return not self._any_ahead
        return self._newest is not None and at <= self._newest - self._ids.overlap
