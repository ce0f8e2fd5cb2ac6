"""The past of a source in windows: where they are cut, when they are joined and when parted, what belongs in. Pure.

A backfill begins with many small windows. Where little is found, the next ones are read as one; where much is, one is
cut into parts. So an empty year costs a few requests, and a busy day is never more than a crash may lose.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from worker.notification import Normalised, Notification, Status
from worker.provider import Contract, Order, Window

_WINDOWS = 1000
_PARTS = 10
_FEW_PAGES, _MANY_PAGES, _MOST_PAGES = 20, 50, 100
_MOST_ROWS = 50_000
_PAGES_TOO_OLD = 2
_SHORTEST = timedelta(milliseconds=1)
_CLOSED = frozenset({Status.RESOLVED, Status.IGNORED, Status.EXPIRED})


@dataclass(frozen=True, slots=True)
class Past:
    """What is asked for: what occurred from `since` on and before `until`; None: up to now. `deliver`: owed as well."""

    since: datetime
    until: datetime | None = None
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """One window `[start_at, end_at)` of the provider's time; without a bound where its API knows none."""

    start_at: datetime | None
    end_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What reading came to; of a whole backfill, over all processes and interruptions. A page is one request."""

    pages: int = 0
    fetched: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    repairs: int = 0
    owed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far a backfill is: windows of how many, and how much of its time; `done`: there is nothing left to do.

    `free_at`: where all that is left is claimed, when the first of these claims ends.
    """

    windows: int
    windows_done: int
    share: float | None
    done: bool = False
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """Where the past ends and the polls begin, by the provider's clock.

    What is new and occurred before `polled_from` is no poll's to find; None: the polls find everything. What occurred
    before `tracked_since` without being closed is expired.
    """

    polled_from: datetime | None
    provider_now: datetime
    tracked_since: datetime


def cut(contract: Contract, since: datetime, until: datetime) -> list[Span]:
    """The windows, oldest first: equal ones of at least two grains; a single one where the API has no filters."""
    if not (contract.filters_from and contract.filters_to):
        return [Span(since if contract.filters_from else None, until if contract.filters_to else None)]
    return _equal(since, until, _WINDOWS, contract.grain)


def parted(contract: Contract, span: Span, pages: int, rows: int) -> list[Span]:
    """What takes the place of a window that turns out too large to be lost by a crash; nothing as long as it isn't.

    Ten parts rather than two: all of them are read anew, and too large ones once more.
    """
    if span.start_at is None or span.end_at is None or (pages < _MOST_PAGES and rows < _MOST_ROWS):
        return []
    parts = _equal(span.start_at, span.end_at, _PARTS, contract.grain)
    return parts if len(parts) > 1 else []


def stride(joined: int, pages: int) -> int:
    """How many windows are read as one after so many took so many pages."""
    if pages <= _FEW_PAGES:
        return min(joined * 2, _WINDOWS)
    return max(1, joined // 2) if pages > _MANY_PAGES else joined


def adjoining(spans: Sequence[Span]) -> int:
    """How many of these, from the first on, make up one stretch of time."""
    gaps = (
        at for at, (one, other) in enumerate(pairwise(spans), 1) if one.end_at is None or one.end_at != other.start_at
    )
    return next(gaps, len(spans))


def share(spans: Iterable[tuple[Span, bool]]) -> float | None:
    """How much of the time has been read; None where nobody can know before the end."""
    whole, done = timedelta(), timedelta()
    for span, finished in spans:
        if span.start_at is None or span.end_at is None:
            return 1.0 if finished else None
        whole += span.end_at - span.start_at
        done += span.end_at - span.start_at if finished else timedelta()
    return done / whole if whole else 1.0


def asked(contract: Contract, span: Span) -> Window:
    """What the provider is asked for: a grain more at either end, so that bounds in or exclusive make no difference."""
    start = span.start_at - contract.grain if span.start_at else None
    return Window(start, span.end_at + contract.grain if span.end_at else None)


def belonging(contract: Contract, since: datetime, until: datetime, items: Iterable[Normalised]) -> list[Normalised]:
    """Without what the API would have left out if it had the filters; what has no time stays."""

    def inside(item: Normalised) -> bool:
        at = item.notification.occurred_at
        early = at is not None and at < since and not contract.filters_from
        late = at is not None and at >= until and not contract.filters_to
        return not (early or late)

    return [item for item in items if inside(item)]


class Edge:
    """Notices where rows that come newest first, without a filter, are all older than what is asked for.

    Two such pages in a row end the reading: the first may have hidden a row that was just pushed across its border.
    """

    def __init__(self, contract: Contract, since: datetime, overlap: timedelta) -> None:
        self._watches = contract.order is Order.NEWEST_FIRST and not contract.filters_from
        self._since = since - overlap
        self._beyond = 0

    def passed(self, items: Sequence[Normalised]) -> bool:
        """Whether nothing of what is asked for can follow this page."""
        times = [at for item in items if (at := item.notification.occurred_at)]
        if not self._watches or (items and not times):
            return False
        if times:
            self._beyond = self._beyond + 1 if max(times) < self._since else 0
        return self._beyond >= _PAGES_TOO_OLD


def is_past(notification: Notification, presence: Presence) -> bool:
    """Whether only a backfill tells of it: what a poll would have found as well must not be silenced."""
    at, polled_from = notification.occurred_at, presence.polled_from
    return at is not None and polled_from is not None and at < polled_from


def is_overdue(notification: Notification, presence: Presence) -> bool:
    """Whether it should have been closed long ago, by its own date or by how long open ones are tracked."""
    if notification.status in _CLOSED:
        return False
    at, expires_at = notification.occurred_at, notification.expires_at
    expired = expires_at is not None and expires_at <= presence.provider_now
    return expired or (at is not None and at <= presence.tracked_since)


def _equal(start: datetime, end: datetime, most: int, grain: timedelta) -> list[Span]:
    count = max(1, min(most, (end - start) // max(2 * grain, _SHORTEST)))
    edges = [*(start + (end - start) / count * number for number in range(count)), end]
    return [Span(one, other) for one, other in pairwise(edges)]
