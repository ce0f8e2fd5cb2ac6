"""Offset paging that loses nothing when rows vanish or appear between two requests (POLLING, section 3). Pure."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.provider import Page
from worker.rest.trail import Key, Reading, Trail, nothing_more

Tie = Callable[[Any], Hashable]
"""What rows are ordered by, where rows that are equal in it may come in any order."""

_FAR, _FAR_ROWS = 4, 100
"""Pages, and rows, whichever are more: further than rows are inserted between two requests."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Rows at an offset."""

    offset: int
    rows: Sequence[Any]

    @property
    def end(self) -> int:
        return self.offset + len(self.rows)


def anchored_offset(read: Callable[[int, int], Reading], size: int, key: Key, tie: Tie | None = None) -> Iterator[Page]:
    """Every page of an API that is paged by offset; `read(offset, size)` asks for one.

    Each page begins with a row already seen, its anchor, so the next offset is max(1, rows received - 1) further
    (CLARIFICATIONS, 1), or less: at the first of the rows that tie with the last one, and at one that has an id. Where
    the first row is not known, or the page is empty too early, rows above have vanished: pages are read backwards until
    one begins with a known row, which counts as one repair, and forwards again from there. Where pages hold one row
    there is no anchor, so the row before is read again instead; only there two changes at once can hide each other.
    The end is a page of nothing but anchors whose total agrees, or an empty page. The order must be stable.

    Raises ContractBroken when the pages have no end.
    """
    walk = _Walk(read, max(size, 2), key, tie)
    while not walk.ended:
        yield walk.step()


class _Walk:
    """A pass under way.

    `_anchored`: the page at `_offset` is to begin with a row of the page before it. `_bridged`: it follows the page
    before it without a row in common, as that held one row. Neither: it is read for the sake of another.
    `_sure`: the page before it seemed to be the last. `_ahead`: rows that are confirmed when the one before them is.
    `_suspect`: the page that came for another offset as well; the one at `_offset`, far away, is to tell why, `_again`:
    once more, for that may have been the last answer again, by mistake.
    """

    def __init__(self, read: Callable[[int, int], Reading], size: int, key: Key, tie: Tie | None) -> None:
        self.ended = False
        self._read, self._size, self._key, self._tie = read, size, key, tie
        self._trail = Trail(key)
        self._offset = 0
        self._widest = 1
        self._anchored = self._bridged = False
        self._mending = False
        self._sure = False
        self._before: _Spot | None = None
        self._ahead: _Spot | None = None
        self._suspect: _Spot | None = None
        self._again = False

    def step(self) -> Page:
        """One request, and what it means for the next."""
        reading = self._read(self._offset, self._size)
        if self._suspect is not None:
            return self._probed(self._suspect, reading)
        spot = _Spot(self._offset, reading.rows)
        self._widest = max(self._widest, len(spot.rows))
        if spot.offset == 0 or (spot.rows and self._trail.confirmed(spot.rows[0])):
            return self._attached(spot, reading)
        return self._loose(spot, reading)

    def _attached(self, spot: _Spot, reading: Reading) -> Page:
        """Nothing lies unseen before this page."""
        self._mending = False
        page = self._trail.page(reading)
        ahead, self._ahead = self._ahead, None
        adjacent = ahead is not None and len(spot.rows) == 1 and spot.end == ahead.offset
        repeated = self._before is not None and self._repeated(self._before, spot)
        self.ended = (
            not spot.rows
            or (adjacent and ahead is not None and not ahead.rows)
            or (self._anchored and not page.items and not repeated and self._whole(spot, reading))
        )
        self._sure = len(spot.rows) == 1 and (self._anchored or self._whole(spot, reading))
        if adjacent and ahead is not None and not self.ended:
            self._trail.confirm(ahead.rows)
            spot, self._sure = ahead, False
        if self._before is not None and self._repeated(self._before, spot):
            self._suspect = spot
        self._before = spot
        self._forward(spot)
        return replace(page, last=self.ended)

    def _loose(self, spot: _Spot, reading: Reading) -> Page:
        """Something may lie unseen before this page; where it has no anchor that is yet to be found out."""
        self.ended = self._bridged and not spot.rows and self._sure
        repairs = 0 if self._bridged or self._mending else 1
        self._mending = self._mending or not self._bridged
        back = 1 if self._bridged else max(1, self._widest - 1)
        self._ahead = spot if self._bridged or len(spot.rows) == 1 else None
        self._anchored = self._bridged = False
        self._offset = max(0, spot.offset - back)
        return self._trail.page(reading, confirmed=False, last=self.ended, repairs=repairs)

    def _forward(self, spot: _Spot) -> None:
        if self._suspect is not None:
            self._offset = max(spot.end, self._offset) + max(_FAR * self._widest, _FAR_ROWS)
            return
        self._offset = spot.offset + max(1, self._anchor(spot.rows))
        self._anchored, self._bridged = self._offset < spot.end, self._offset == spot.end

    def _anchor(self, rows: Sequence[Any]) -> int:
        """Which row the next page is to begin with: the first that ties with the last, and one that has an id."""
        last = len(rows) - 1
        first = last
        while self._tie and first > 0 and self._tie(rows[first - 1]) == self._tie(rows[last]):
            first -= 1
        anchor = first or last
        while anchor > 0 and self._key(rows[anchor]) is None:
            anchor -= 1
        return anchor or last

    def _whole(self, spot: _Spot, reading: Reading) -> bool:
        """Whether the total says that this page reaches to the end; a total that can't be is not listened to."""
        return reading.total is not None and len(self._trail) <= reading.total <= spot.end

    def _repeated(self, before: _Spot, spot: _Spot) -> bool:
        """The same rows for another offset: rows were inserted above, or the offset means nothing there."""
        return before.offset < spot.offset and self._trail.same(before.rows, spot.rows)

    def _probed(self, suspect: _Spot, reading: Reading) -> Page:
        """The page of an offset far away: if it is the same again, offsets are ignored, or held down to the last page.

        Then this is all there is. Else the pass goes on from where it was.
        """
        page = self._trail.page(reading, confirmed=False)
        same, again = self._trail.same(suspect.rows, reading.rows), self._again
        self._again = same and not again
        self._suspect = suspect if self._again else None
        self.ended = same and again
        if self.ended:
            nothing_more(self._trail, reading)
        self._forward(suspect)
        return replace(page, last=self.ended)
