"""An API that torments whoever reads it: rows come, go, change and move between two requests, and answers go wrong."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from tests.tormentor.rows import Raw, Row, Rows, instant, key_of
from tests.tormentor.shape import NEWEST, OLDEST, Scenario, What
from worker.provider import Paging, Validators, Window
from worker.rest.answers import Answer, Refused
from worker.rest.client import Parameters
from worker.rest.listing import Ask, Listing
from worker.rest.paging import Reading

HOST, ELSEWHERE = "https://api.test", "https://elsewhere.test"
GRAIN = timedelta(seconds=1)
_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_MOST_REQUESTS = 1500
_BETWEEN_MISTAKES = 6
"""Requests: a page that comes wrong is asked for again, and comes right then. Again and again, it is the last."""


class Lost(AssertionError):
    """A promise was broken."""


class Api(Rows):
    """What a client asks, and what it is told."""

    def __init__(self, scenario: Scenario, now: datetime) -> None:
        super().__init__(scenario, now)
        self._requests = self._erred = 0
        self._asks: list[Ask] = []
        self._places: dict[Ask, int] = {}
        self._marks: dict[str, tuple[Any, ...]] = {}
        self._last: tuple[Window, Raw] | None = None

    def begin(self) -> None:
        """A pass begins."""
        super().begin()
        self._requests, self._erred, self._last = 0, -_BETWEEN_MISTAKES, None

    def listing(self) -> Listing:
        """The list, as a provider of such an API describes it."""
        return Listing(
            request=lambda ask: (f"rows/{self._place(ask)}", ()),
            listed=self._listed,
            key=key_of,
            when=lambda raw: instant(raw.get("at")),
            size=self.contract.page_size,
            newest_first=self.scenario.newest_first_in_page,
            numeric=self.scenario.numeric_ids,
            overlap=self.scenario.overlap,
            goes_back=self.scenario.goes_back,
        )

    def get(self, path: str, _parameters: Parameters = (), _validators: Validators | None = None) -> Answer:
        """The answer to a GET. Raises ProviderError, and Lost where it should never have been asked."""
        if path.startswith(ELSEWHERE):
            raise Lost("it was sent to another host, with its credentials")
        self._requests += 1
        if self._requests > _MOST_REQUESTS:
            raise Lost("a pass has no end")
        self.now += self.scenario.tick
        mistakes = self.befall()
        filtered, _, place = path.removeprefix(HOST).strip("/").rpartition("/")
        ask = self._asks[int(place)]
        body = self._answer(ask, mistakes, only_new=filtered.startswith("new"))
        return Answer(200, body, {}, self.clock.replace(microsecond=0) if self.scenario.dates else None)

    def address(self, path: str, _parameters: Parameters = ()) -> str:
        """The whole address of a path."""
        return f"{HOST}/{path}"

    def _answer(self, ask: Ask, mistakes: set[What], *, only_new: bool) -> Raw:
        paged = bool(ask.offset or (ask.number or 1) > 1 or ask.cursor)
        may_err = self._requests - self._erred >= _BETWEEN_MISTAKES and self.mistakes
        if What.REPEAT in mistakes and may_err and self._last is not None and self._last[0] == ask.window:
            self._erred = self._requests
            return self._last[1]
        found = [row for row in self._within(ask) if not only_new or row.raw["state"] == "new"]
        body = self._page(ask, found, skip=What.SKIP in mistakes and paged and may_err)
        if self.lags:
            body["rows"] = [self._stale(raw) for raw in body["rows"]]
        if (self.circles or What.FOREIGN in mistakes) and "next" in body:
            first = self._place(replace(ask, cursor=None, offset=None))
            host = ELSEWHERE if What.FOREIGN in mistakes else HOST
            body["next"] = f"{host}/rows/{first}" if self.contract.paging is Paging.NEXT_LINK else ask.cursor or "0"
        self._last = (ask.window, body)
        return body

    def _page(self, ask: Ask, found: list[Row], *, skip: bool) -> Raw:
        size = min(ask.size, self.scenario.cap or ask.size)
        if self.contract.from_id:
            return self._by_id(ask, found, size)
        offset = (ask.offset or 0) if ask.number is None else (ask.number - 1) * size
        if ask.cursor:
            offset = self._offset_of(ask.cursor, found)
        if skip and self._may_skip and offset + size * 2 < len(found):
            offset += size
            self._erred = self._requests
        page = found[offset : offset + size]
        more = offset + size < len(found)
        body: Raw = {"rows": [dict(row.raw) for row in page], "more": more, "total": len(found)}
        if more:
            cursor = str(offset + size) if self.contract.drifts else self._mark(page[-1])
            body["next"] = cursor
            if self.contract.paging is Paging.NEXT_LINK:
                body["next"] = f"{HOST}/rows/{self._place(replace(ask, cursor=cursor))}"
        return body

    @property
    def _may_skip(self) -> bool:
        """Where the page that was skipped is asked for again, or the row before it is."""
        return self.contract.drifts and self.page_size > 1

    def _by_id(self, ask: Ask, found: list[Row], size: int) -> Raw:
        rows = sorted(found, key=lambda row: int(row.name))
        if ask.after is not None:
            if ask.after not in self.rows and self.scenario.tells_more:
                raise Refused("no such id", 404, None)
            rows = [row for row in rows if int(row.name) > int(ask.after)]
        if ask.before is not None:
            rows = [row for row in rows if int(row.name) < int(ask.before)]
        oldest = ask.after is not None or not self.scenario.goes_back
        page = rows[:size] if oldest else rows[-size:]
        shown = list(reversed(page)) if self.scenario.newest_first_in_page else page
        return {"rows": [dict(row.raw) for row in shown], "more": len(page) < len(rows)}

    def _within(self, ask: Ask) -> list[Row]:
        window = ask.window
        start = window.start and self.contract.filters_from and _cut(window.start)
        end = window.end and self.contract.filters_to and _cut(window.end + GRAIN - timedelta.resolution)
        found = [row for row in self.rows.values() if self._inside(row.at, start or None, end or None)]
        return sorted(found, key=self._sort_key, reverse=self.contract.order is NEWEST)

    def _inside(self, at: datetime | None, start: datetime | None, end: datetime | None) -> bool:
        if at is None:
            return start is None and end is None
        if self.scenario.inclusive:
            return (start is None or start <= at) and (end is None or at <= end)
        return (start is None or start < at) and (end is None or at < end)

    def _sort_key(self, row: Row) -> tuple[Any, ...]:
        ordered = self.contract.order in {OLDEST, NEWEST}
        shaken = self.salt if not ordered and self.scenario.spread and self._fits else 0
        dice = crc32(f"{self._requests if self.scenario.ties else shaken} {row.name}".encode())
        return ((row.at or _FAR), dice, row.name) if ordered else (dice, row.name)

    @property
    def _fits(self) -> bool:
        """Whether a few seconds' rows fit a page, and it can be told that they do."""
        return self.page_size >= 4 and (self.scenario.tells_total or self.page_size == self.contract.page_size)

    def _offset_of(self, cursor: str, found: Sequence[Row]) -> int:
        if self.contract.drifts:
            return int(cursor)
        if cursor not in self._marks:
            return 0
        mark, newest = self._marks[cursor], self.contract.order is NEWEST
        passed = [row for row in found if self._sort_key(row) == mark or (self._sort_key(row) > mark) is newest]
        return len(passed)

    def _mark(self, row: Row) -> str:
        mark = self._sort_key(row)
        self._marks.setdefault(str(mark), mark)
        return str(mark)

    def _stale(self, raw: Raw) -> Raw:
        row = self.rows.get(raw.get("id", ""))
        if row is None or row.before is None:
            return raw
        self.shown_stale.add(row.name)
        return dict(row.before)

    def _listed(self, answer: Answer) -> Reading:
        body, scenario = answer.json, self.scenario
        return Reading(
            rows=body["rows"],
            server_date=answer.server_date,
            more=body["more"] if scenario.tells_more else None,
            total=body.get("total") if scenario.tells_total else None,
            next=body.get("next") if self.contract.paging in {Paging.NEXT_LINK, Paging.CURSOR} else None,
        )

    def _place(self, ask: Ask) -> int:
        if ask not in self._places:
            self._places[ask] = len(self._asks)
            self._asks.append(ask)
        return self._places[ask]


def _cut(at: datetime) -> datetime:
    return at.replace(microsecond=0)
