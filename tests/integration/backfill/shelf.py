"""A provider with a past, and what it takes to read it."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from tests.fakes import AT, FakeClock, NewestFirst, ScriptedProvider, item
from tests.integration.store.desk import Desk
from worker.backfill import Progress, Watch, backfill
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.moment import Schedule
from worker.past import Past
from worker.poll import poll
from worker.progress import PollSummary
from worker.provider import Contract, Page, Window
from worker.store.tables import BackfillRow, BackfillWindow, Delivery, NotificationRow

YEAR = timedelta(days=365)
OVERLAP = timedelta(minutes=10)


class Shelf(ScriptedProvider):
    """Gives the rows that it has in the window, three a page, oldest first; `meanwhile` comes before each page."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        super().__init__()
        self.rows = list(rows)
        self.pages_of: list[tuple[Window, int]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    @property
    def requests(self) -> int:
        return len(self.pages_of)

    def pages(self, window: Window) -> Iterator[Page]:
        self.asked.append(window)
        found, size = self.found(window), self.contract.page_size
        for number, first in enumerate(range(0, max(1, len(found)), size), 1):
            self.pages_of.append((window, number))
            self.meanwhile()
            yield self.page(found[first : first + size], last=first + size >= len(found))

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        raise NotImplementedError(change, since)

    def page(self, rows: Sequence[dict[str, Any]], *, last: bool) -> Page:
        return Page(items=rows, last=last)

    def found(self, window: Window) -> list[dict[str, Any]]:
        start, end = window.start, window.end
        return [row for row in self.rows if (not start or moment(row) >= start) and (not end or moment(row) <= end)]


class Pile(Shelf):
    """One that can't be asked for a time, newest first."""

    contract: ClassVar[Contract] = NewestFirst.contract

    def found(self, window: Window) -> list[dict[str, Any]]:
        assert window == Window()
        return sorted(self.rows, key=moment, reverse=True)


class Stream(Shelf):
    """One that can be asked for what is newer alone."""

    contract: ClassVar[Contract] = replace(ScriptedProvider.contract, filters_to=False)


def moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["at"]) if row["at"] else AT


def history(
    count: int, since: datetime = AT - YEAR, until: datetime = AT, state: str = "resolved"
) -> list[dict[str, Any]]:
    """So many rows, evenly over that time, the first at its start."""
    step = (until - since) / max(count, 1)
    return [item(f"{since.year}-{number}", state, since + step * number) for number in range(count)]


@dataclass
class Reader:
    """Whoever types `tocsin backfill books`."""

    desk: Desk
    clock: FakeClock
    waits: list[timedelta] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def watch(self) -> Watch:
        return Watch(Surroundings(self.desk.database, self.clock, Random(1)), self.wait, self.told.append)

    def wait(self, span: timedelta) -> None:
        self.waits.append(span)
        self.clock.at += span

    def steps(
        self, shelf: Shelf, past: Past | None = None, watch: Watch | None = None
    ) -> Generator[Progress, None, None]:
        """A backfill, of the last year unless told otherwise, commit by commit."""
        return backfill(self.subscription(shelf), past or Past(AT - YEAR), watch or self.watch())

    def read(self, shelf: Shelf, past: Past | None = None) -> Progress:
        """A whole backfill."""
        return list(self.steps(shelf, past))[-1]

    def poll(self, shelf: Shelf) -> PollSummary | None:
        world = Surroundings(self.desk.database, self.clock, Random(1))
        return poll(self.subscription(shelf), world, only_due=False)

    def subscription(self, shelf: Shelf) -> Subscription:
        return Subscription(
            source="books",
            provider=shelf,
            schedule=Schedule(timedelta(minutes=5)),
            overlap=OVERLAP,
            track_for=timedelta(days=30),
            interests=tuple(Interest(name) for name in self.desk.limits),
        )

    @property
    def known(self) -> set[str]:
        return {row.external_id for row in self.desk.rows(NotificationRow)}

    @property
    def fates(self) -> dict[tuple[str, int], tuple[str, str | None]]:
        """By external id and revision: a delivery's status and reason."""
        names = {row.id: row.external_id for row in self.desk.rows(NotificationRow)}
        rows = self.desk.rows(Delivery)
        found = {(names[row.notification_id], row.revision): row for row in rows if row.notification_id}
        return {key: (row.status, row.reason) for key, row in sorted(found.items())}

    @property
    def windows(self) -> list[BackfillWindow]:
        return self.desk.rows(BackfillWindow)

    @property
    def rows(self) -> list[BackfillRow]:
        return self.desk.rows(BackfillRow)


def ids(rows: Sequence[dict[str, Any]]) -> set[str]:
    return {row["id"] for row in rows}
