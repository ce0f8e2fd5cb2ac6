"""A list on a server that changes between two requests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from worker.provider import Page
from worker.rest.paging import Reading, anchored_offset, page_numbers

Change = tuple[str, float]
"""`remove` or `insert`, and where: 0 is the top, 1 the bottom."""


def key_of(row: Any) -> str | None:
    return row.get("id") if isinstance(row, dict) else None


@dataclass
class ModelList:
    """Rows, what happens to them after each request, and what was asked. `cap`: the server's own largest page."""

    rows: list[Any]
    cap: int = 1000
    changes: Sequence[Sequence[Change]] = ()
    counts: bool = False
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.always = [row for row in self.rows if key_of(row) is not None]
        self._made = 0

    def by_offset(self, offset: int, size: int) -> Reading:
        self.asked.append((offset, size))
        total = len(self.rows) if self.counts else None
        reading = Reading(rows=self.rows[offset : offset + min(size, self.cap)], total=total)
        self._change()
        return reading

    def by_number(self, number: int, size: int) -> Reading:
        self.asked.append((number, size))
        size = min(size, self.cap)
        end = number * size
        reading = Reading(rows=self.rows[end - size : end], more=end < len(self.rows))
        self._change()
        return reading

    def missed(self, pages: Sequence[Page]) -> list[Any]:
        """The rows that were there for the whole pass and were not given."""
        given = [row for page in pages for row in page.items]
        return [row for row in self.always if row not in given]

    def _change(self) -> None:
        turn = len(self.asked) - 1
        for kind, where in self.changes[turn] if turn < len(self.changes) else ():
            if kind == "insert":
                self._made += 1
                self.rows.insert(round(where * len(self.rows)), {"id": f"made {self._made}"})
            elif self.rows:
                gone = self.rows.pop(min(int(where * len(self.rows)), len(self.rows) - 1))
                self.always = [row for row in self.always if row != gone]


def numbered(count: int) -> list[dict[str, str]]:
    return [{"id": str(number)} for number in range(count)]


@pytest.fixture
def model() -> Callable[..., ModelList]:
    """Makes a list of so many numbered rows, or of these rows."""
    return lambda rows, **how: ModelList(numbered(rows) if isinstance(rows, int) else list(rows), **how)


@pytest.fixture
def read_offsets() -> Callable[..., list[Page]]:
    """Reads a list by anchored offset to its end; fails when a pass doesn't say once, and at its end, that it is it."""
    return lambda served, size=10, tie=None: _whole(anchored_offset(served.by_offset, size, key_of, tie))


@pytest.fixture
def read_numbers() -> Callable[..., list[Page]]:
    """Reads a list by page number to its end."""
    return lambda served, size=10: _whole(page_numbers(served.by_number, size, key_of))


def _whole(pages: Iterator[Page]) -> list[Page]:
    read = list(pages)
    assert [page.last for page in read] == [False] * (len(read) - 1) + [True]
    return read
