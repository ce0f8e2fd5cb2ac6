"""A source that is read pass by pass from a tormented API, and what must hold of what was kept (POLLING, 2 to 4, 6).

The machinery is the real one, but for the database: a dictionary stands for it, as worker/store/notifications.py
treats it. Every part of it is a parameter, so that each can be weakened by itself.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from tests.tormentor.api import GRAIN, Api, Lost
from tests.tormentor.rows import Row, instant, key_of
from tests.tormentor.shape import NEWEST, Scenario
from worker import progress
from worker.errors import ItemRejected, ProviderError, RateLimited, Unavailable
from worker.intake import normalise_all
from worker.notification import Item, Normalised, Notification, Outlined, RejectedItem, Status
from worker.progress import FUTURE_GRACE, Checkpoint, Pass
from worker.provider import Answered, Contract, Page, Paging, Provider, Window
from worker.rest.client import Client
from worker.rest.listing import Listing, pages_of
from worker.revision import Known, Revision, revise

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
_CALM_PASSES = 3
_CALM = timedelta(minutes=20)


Under = tuple[Pass, dict[str, tuple[datetime, int]], Checkpoint]
"""A pass under way, the rows that were there when it began, and the checkpoint that it began from."""


class _Provider:
    """Normalises rows of the API; worker.intake asks nothing else of it."""

    slug: ClassVar[str] = "tormented"

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    @staticmethod
    def normalise(item: Item, _now: datetime) -> Notification:
        if "id" not in item:
            raise ItemRejected("it has no id")
        return Notification(
            external_id=item["id"],
            kind=None,
            title=None,
            status=Status(item["state"]),
            occurred_at=instant(item["at"]),
            updated_at=instant(item["updated"]),
            raw=item,
        )


@dataclass(frozen=True)
class Machine:
    """The parts of a poll. `checkpoint_first`: progress is committed before what was read. `kept`: what becomes of the
    answers of a pass that was cut short.
    """

    pages: Callable[[Client, Contract, Listing, Window], Iterator[Page]] = pages_of
    begin: Callable[[Contract, Checkpoint, datetime | None, timedelta, datetime], Pass] = progress.begin
    after: Callable[[Pass, Page, Sequence[Outlined], Collection[str], datetime], Pass] = Pass.after
    normalise_all: Callable[[Provider, Sequence[Any], datetime], tuple[list[Normalised], list[RejectedItem]]] = (
        normalise_all
    )
    kept: Callable[[Answered | None], None] = lambda _: None
    revise: Callable[[str, Normalised, Known | None], Revision | None] = revise
    checkpoint_first: bool = False


@dataclass
class Course:
    """One run: what is kept, what was told, and how far the source has come."""

    machine: Machine
    scenario: Scenario
    api: Api = field(init=False)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    kept: dict[str, Revision] = field(default_factory=dict)
    told: list[Revision] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)
    cut_short: Under | None = None

    def __post_init__(self) -> None:
        self.api = Api(self.scenario, AT)
        self.begun_at = AT
        self.start_at = self.api.clock if self.scenario.from_now else None

    @property
    def contract(self) -> Contract:
        return self.scenario.contract

    def run(self) -> None:
        """Torment, then calm. Raises Lost where a promise is broken."""
        for minutes in self.scenario.pauses:
            self.api.now += timedelta(minutes=minutes)
            self.one_pass()
        self.api.calm_down()
        for _ in range(_CALM_PASSES):
            self.api.now += _CALM
            gone_on = self.cut_short is not None
            if (failure := self.one_pass()) is not None and not gone_on:
                raise Lost(f"it can't be read although nothing is wrong: {failure}")
        self._everything_is_kept()
        self._nothing_is_told_twice()

    def one_pass(self) -> Exception | None:
        """Read the API once, from where it was cut short or from the last checkpoint; what went wrong, if any."""
        reading, there, since = self.cut_short or self._begun()
        self.cut_short, self.api.crashes = None, False
        try:
            for page in self.machine.pages(cast("Client", self.api), self.contract, self.api.listing(), reading.window):
                reading = self._committed(reading, page)
                reading.store_page()
                if reading.complete:
                    break
            else:
                return Lost("the last page never came")
        except (RateLimited, Unavailable) as failure:
            if reading.may_go_on:
                self.machine.kept(reading.window.answered)
                self.cut_short = reading, there, since
            return failure
        except (ProviderError, _Killed) as failure:
            return failure
        stayed = [row for row in self.api.rows.values() if there.get(row.name, (None,))[0] == row.since]
        scope = self._scope(reading.window, since)
        for row in stayed:
            if scope(row):
                version = 1 if row.name in self.api.shown_stale else there[row.name][1]
                self._must_be_kept(row, version, "a row that was there for the whole pass")
        self._mark_passed_nothing()
        return None

    def _begun(self) -> Under:
        self.api.begin()
        self.begun_at = min(self.api.clock, self.api.now)
        reading = self.machine.begin(self.contract, self.checkpoint, self.start_at, self.scenario.overlap, self.api.now)
        there = {row.name: (row.since, row.version) for row in self.api.rows.values()}
        return reading, there, self.checkpoint

    def _committed(self, reading: Pass, page: Page) -> Pass:
        """One page in one commit, as worker.poll has it."""
        now, machine = self.api.now, self.machine
        items, unfit = machine.normalise_all(
            cast("Provider", _Provider(self.contract)), page.items, now + self.checkpoint.clock_offset
        )
        outlines = [item.notification for item in items]
        if machine.checkpoint_first:
            self.checkpoint = machine.after(reading, page, outlines, (), now).checkpoint
        if self.api.crashes:
            raise _Killed
        changed = self._stored(items)
        self.rejected |= {cast("str", item.raw["no"]) for item in unfit}
        reading = machine.after(reading, page, outlines, changed, now)
        self._mark_is_sound(reading.checkpoint)
        self.checkpoint = reading.checkpoint
        return reading

    def _stored(self, items: Sequence[Normalised]) -> set[str]:
        """As worker.store.notifications stores a page; who was new or different."""
        changed = set()
        for item in items:
            name = item.notification.external_id
            before = self.kept.get(name)
            if revision := self.machine.revise("tormented", item, _known(before) if before else None):
                self.kept[name] = revision
                self.told.append(revision)
                changed.add(name)
        return changed

    # What must hold

    def _scope(self, window: Window, since: Checkpoint) -> Callable[[Row], bool]:
        """Which rows this pass was to find. Where the id that it was to go on from is gone, it asks by time."""
        after = since.newest_id if self.contract.from_id else None
        if after is not None and (after in self.api.rows or not self.scenario.tells_more):
            return lambda row: int(row.name) > int(after)
        if not self.contract.filters_from:
            mark = since.high_water if self.contract.order is NEWEST else None
            return lambda row: mark is None or (row.at is not None and row.at > mark - self.scenario.overlap)
        start = window.start and window.start + GRAIN
        end = window.end and window.end - GRAIN
        unbound = start is None and end is None and self.contract.paging is not Paging.NONE
        return lambda row: (
            unbound if row.at is None else (start is None or start <= row.at) and (end is None or row.at <= end)
        )

    def _must_be_kept(self, row: Row, version: int, why: str) -> None:
        if key_of(row.raw) is None:
            if row.name not in self.rejected:
                raise Lost(f"{why} has no id and is not among the rejected: {row}")
            return
        revision = self.kept.get(row.name)
        if revision is None:
            raise Lost(f"{why} is not kept: {row}")
        if _version(revision) < version:
            raise Lost(f"{why} is kept as it was before: {row}")

    def _mark_is_sound(self, checkpoint: Checkpoint) -> None:
        """It never falls, and is never in the future, but for what our idea of the provider's clock is off by."""
        before, mark = self.checkpoint.high_water, checkpoint.high_water
        if before is not None and (mark is None or mark < before):
            raise Lost(f"the high-water mark falls from {before} to {mark}")
        off = max(-self.scenario.skew, timedelta())
        if mark is not None and mark > self.api.clock + FUTURE_GRACE + GRAIN + off:
            raise Lost(f"the high-water mark is in the future: {mark}")

    def _mark_passed_nothing(self) -> None:
        """What will never be asked for again is kept."""
        mark = self.checkpoint.high_water
        if mark is None or self.contract.from_id:
            return
        for row in self.api.rows.values():
            if row.at is not None and row.at < mark - self.scenario.overlap - GRAIN * 2 and self._is_due(row):
                self._must_be_kept(row, 1, f"the mark, {mark}, has passed a row that")

    def _is_due(self, row: Row) -> bool:
        """Whether it came in time for the last pass: undated ones can't, where a time is asked for."""
        if row.at is None or (self.start_at and row.at < self.start_at):
            return False
        return row.at <= self.begun_at - GRAIN and row.since - row.at <= self.api.lateness

    def _everything_is_kept(self) -> None:
        """All that came in time; as it is now, where every pass reads it again."""
        mark = self.checkpoint.high_water
        for row in self.api.rows.values():
            if self._is_due(row):
                again = mark and row.at and row.at >= mark - self.scenario.overlap and not self.contract.from_id
                self._must_be_kept(row, row.version if again else 1, "in the end, a row that came in time")

    def _nothing_is_told_twice(self) -> None:
        versions: dict[str, int] = {}
        for revision in self.told:
            name = revision.item.notification.external_id
            if _version(revision) <= versions.get(name, 0):
                raise Lost(f"version {_version(revision)} of {name} is told after version {versions[name]}")
            versions[name] = _version(revision)
        if len({revision.message_id for revision in self.told}) < len(self.told):
            raise Lost("a message id is used twice")


class _Killed(Exception):
    """We died before the commit."""


def _known(revision: Revision) -> Known:
    item = revision.item
    return Known(
        item.content_hash, revision.number, revision.message_id, item.notification.status, item.notification.updated_at
    )


def _version(revision: Revision) -> int:
    return int(revision.item.notification.raw["v"])


def with_contract(machine: Machine, **weaker: Any) -> Machine:
    """The machine where it believes something else of the API."""
    return replace(
        machine,
        pages=lambda client, contract, listing, window: pages_of(client, replace(contract, **weaker), listing, window),
        begin=lambda contract, *rest: progress.begin(replace(contract, **weaker), *rest),
    )
