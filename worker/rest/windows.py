"""Reading a time in windows that are halved until each fits a page, in whatever order rows come (POLLING, section 3).

Pure. A window's first page is all of it, or is shown not to be: then the window is halved, and each half asked for with
a grain more at either end, so that no row falls between. A window that can't be halved is paged to its end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.errors import ContractBroken
from worker.provider import Page, Window
from worker.rest.trail import Key, Look, Reading, Trail

When = Callable[[Any], datetime | None]
"""The time of a row, as the API filters and orders by it; None where it can't be read."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_STEP = timedelta(days=1)
_HALVINGS_AT_ONCE = 10
_PATIENCE = 8
"""A month has 21 halvings down to a second, each of which may give a window that is empty."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the time; None: open. `step`: how far from its end the next cut of one without a start is made."""

    start: datetime | None
    end: datetime | None
    step: timedelta = _FIRST_STEP

    def halves(self, grain: timedelta, now: datetime | None) -> "list[Span]":
        """It in two; in none where it is no longer than a grain, or nobody knows where to cut it."""
        if self.start is not None and self.end is not None:
            middle = self.start + (self.end - self.start) / 2
            return [Span(self.start, middle), Span(middle, self.end)] if self.end - self.start > grain else []
        if self.start is None and self.end is not None:
            if self.end - _EARLIEST <= self.step:
                return []
            cut = self.end - self.step
            return [Span(None, cut, self.step * 2), Span(cut, self.end)]
        if now is None or (self.start is not None and now <= self.start):
            return []
        return [Span(self.start, now), Span(now, None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowed:
    """How windows are read: `pages` reads one to its end; `paged`: it can, and doesn't only give the first page."""

    pages: Callable[[Window], Iterator[Look]]
    paged: bool
    key: Key
    when: When
    size: int
    grain: timedelta


def windows(listing: Windowed, window: Window) -> Iterator[Page]:
    """Every row of the window, oldest part first. Raises ContractBroken where a page can't hold a single grain."""
    return _Windows(listing, window).pages()


class _Windows:
    """A pass under way. `_cap`: a page of so many rows may be cut off. `_widest`: the largest page so far.

    `_parting`: a window's filter parts rows. Where it doesn't, the whole is paged instead.
    """

    def __init__(self, listing: Windowed, window: Window) -> None:
        self._listing, self._window = listing, window
        self._trail = Trail(listing.key, _PATIENCE)
        self._cap = listing.size
        self._widest = 0
        self._parting = True

    def pages(self) -> Iterator[Page]:
        spans = [Span(self._window.start, self._window.end)]
        while spans:
            span = spans.pop()
            asked = self._asked(span)
            first = None
            for look in self._listing.pages(asked):
                page = replace(self._trail.page(look.reading), repairs=look.page.repairs)
                fresh = bool(page.items)
                cut_off = not look.page.last and self._cut_off(look.reading, first, fresh=fresh)
                parts = self._parts(span, look.reading) if cut_off else []
                if self._parting and cut_off and not (fresh and parts) and self._all_strangers(asked, look.reading):
                    self._parting, spans, parts = False, [], [Span(self._window.start, self._window.end)]
                ended = look.page.last or not (parts or self._listing.paged or self._too_dense(look.reading, cut_off))
                first = first or look.reading
                spans += reversed(parts)
                yield replace(page, last=ended and not spans)
                if parts or ended:
                    break

    def _asked(self, span: Span) -> Window:
        """The span with a grain more at either end, within the window of the whole pass, which has its own."""
        outer, grain = self._window, self._listing.grain
        start = outer.start if span.start is None or span.start == outer.start else span.start - grain
        end = outer.end if span.end is None or span.end == outer.end else span.end + grain
        if start and outer.start:
            start = max(start, outer.start)
        if end and outer.end:
            end = min(end, outer.end)
        return Window(start, end)

    def _cut_off(self, reading: Reading, first: Reading | None, *, fresh: bool) -> bool:
        """Whether there is more in the window than this; a page after the first shows it by a row that is new."""
        count = len(reading.rows)
        if first is not None:
            if fresh:
                self._cap = min(self._cap, len(first.rows))
            return fresh
        full = count >= (self._cap if self._listing.paged else min(self._cap, self._widest or count))
        self._widest = max(self._widest, count)
        if reading.total is not None:
            return reading.total > count
        return full if reading.more is None else reading.more

    def _parts(self, span: Span, reading: Reading) -> list[Span]:
        """The span in halves, and these again as often as the total says; none where it can't be parted."""
        grain = self._listing.grain
        parts = span.halves(grain, reading.server_date or self._newest(reading)) if self._parting else []
        fits = len(reading.rows) * 2
        for _ in range(_HALVINGS_AT_ONCE - 1):
            if (
                not parts
                or (reading.total or 0) <= fits
                or any(part.start is None or part.end is None for part in parts)
            ):
                break
            parts = [half for part in parts for half in part.halves(grain, None) or [part]]
            fits *= 2
        return parts

    def _all_strangers(self, asked: Window, reading: Reading) -> bool:
        """Whether all are rows that a filter by time doesn't keep out: undated ones, or those of another time."""
        times = [self._listing.when(row) for row in reading.rows]
        grain = self._listing.grain
        return all(
            at is None or (asked.start and at < asked.start - grain) or (asked.end and at > asked.end + grain)
            for at in times
        )

    def _newest(self, reading: Reading) -> datetime | None:
        return max((at for row in reading.rows if (at := self._listing.when(row))), default=None)

    def _too_dense(self, reading: Reading, cut_off: bool) -> bool:  # noqa: FBT001
        """Raises ContractBroken for a full page of a window that can't be parted, where there is no other page."""
        says = reading.more or (reading.total or 0) > len(reading.rows)
        if cut_off and (says or len(reading.rows) >= self._cap):
            raise ContractBroken(
                "One instant of it has more rows than a page, and there is no way to ask for the others."
            )
        return False
