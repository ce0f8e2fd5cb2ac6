"""A list that can be filtered by time, on a server that changes between two requests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from worker.provider import Page, Window
from worker.rest.anchored import anchored_offset
from worker.rest.trail import Look, Reading
from worker.rest.windows import Windowed

BEGIN = datetime(2026, 3, 20, 12, tzinfo=UTC)
GRAIN = timedelta(seconds=1)


def at_of(row: Any) -> datetime | None:
    at = row.get("at")
    return at if isinstance(at, datetime) else None


def row(number: int, second: float | None) -> dict[str, Any]:
    return {"id": str(number), "at": None if second is None else BEGIN + timedelta(seconds=second)}


@dataclass
class TimedList:
    """Rows, and how the server shows them. `order`: ascending, descending, or shuffled anew for each request.

    `changes`: after each request so many rows vanish, and one may appear.
    """

    rows: list[dict[str, Any]]
    order: str = "shuffled"
    cap: int = 1000
    counts: bool = True
    inclusive: bool = True
    filters: bool = True
    changes: Sequence[tuple[int, bool]] = ()
    seed: int = 0
    asked: list[tuple[Window, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.always = list(self.rows)

    def read(self, window: Window, offset: int, size: int) -> Reading:
        self.asked.append((window, offset))
        found = [one for one in self.rows if not self.filters or self._within(one, window)]
        found = self._ordered(found)
        reading = Reading(
            rows=found[offset : offset + min(size, self.cap)],
            total=len(found) if self.counts else None,
            server_date=BEGIN + timedelta(hours=1),
        )
        self._change()
        return reading

    def windowed(self, size: int, *, paged: bool = True) -> Windowed:
        pages = self._paged if paged else self._single
        return Windowed(
            pages=lambda window: pages(window, size), paged=paged, key=_id, when=at_of, size=size, grain=GRAIN
        )

    def missed(self, pages: Sequence[Page], window: Window) -> list[dict[str, Any]]:
        """The rows of the window that were there for the whole pass and were not given."""
        given = {one["id"] for page in pages for one in page.items}
        return [one for one in self.always if self._within(one, window) and one["id"] not in given]

    def _paged(self, window: Window, size: int) -> Iterator[Look]:
        yield from looks(window, self.read, lambda read: anchored_offset(read, size, _id, at_of))

    def _single(self, window: Window, size: int) -> Iterator[Look]:
        reading = self.read(window, 0, size)
        whole = reading.total == len(reading.rows) or not reading.rows
        yield Look(Page(items=reading.rows, last=whole), reading)

    def _within(self, one: dict[str, Any], window: Window) -> bool:
        at = one["at"]
        if at is None:
            return True
        if self.inclusive:
            return (window.start is None or window.start <= at) and (window.end is None or at <= window.end)
        return (window.start is None or window.start < at) and (window.end is None or at < window.end)

    def _ordered(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.order == "shuffled":
            return self.random.sample(found, len(found))
        far = BEGIN + timedelta(days=9999)
        return sorted(found, key=lambda one: (one["at"] or far, int(one["id"])), reverse=self.order == "descending")

    def _change(self) -> None:
        vanish, appear = self.changes[len(self.asked) - 1] if len(self.asked) <= len(self.changes) else (0, False)
        for _ in range(min(vanish, len(self.rows))):
            gone = self.rows.pop(self.random.randrange(len(self.rows)))
            self.always = [one for one in self.always if one is not gone]
        if appear:
            self.rows.append(row(100_000 + len(self.asked), self.random.uniform(0, 3600)))


def looks(
    window: Window,
    read: Callable[[Window, int, int], Reading],
    pages: Callable[[Callable[[int, int], Reading]], Iterator[Page]],
) -> Iterator[Look]:
    kept: list[Reading] = []

    def watched(offset: int, size: int) -> Reading:
        kept[:] = [read(window, offset, size)]
        return kept[0]

    for page in pages(watched):
        yield Look(page, kept[0])


def _id(one: Any) -> str | None:
    found = one.get("id")
    return found if isinstance(found, str) else None
