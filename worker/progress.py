"""How far a source has come: where a pass begins, when it may end, what it moves (POLLING, section 2). Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from worker.notification import Outlined
from worker.provider import Answered, Contract, Order, Page, Validators, Window

FUTURE_GRACE = timedelta(seconds=5)
_SMOOTHING = 0.3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is committed of a source's progress.

    `high_water`: the newest `occurred_at` seen that was not in the future when its pass began, by the provider's clock.
    `clock_offset`: the provider's clock minus ours, smoothed. `covered_until`: the instant up to which it is complete.
    `changes_until`: the instant, by our clock, up to which it was asked for later changes, where it can be.
    """

    high_water: datetime | None = None
    clock_offset: timedelta = timedelta()
    covered_until: datetime | None = None
    validators: Validators | None = None
    newest_id: str | None = None
    changes_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of a source from its window's start to its end; each page makes the next value of it."""

    contract: Contract
    overlap: timedelta
    begun_at: datetime
    window: Window
    checkpoint: Checkpoint
    newest: datetime | None = None
    known_since: datetime | None = None
    not_before: datetime | None = None
    complete: bool = False

    def store_page(self) -> None:
        """Remember that one more page is stored, so that the pass, if it is cut short, is gone on with behind it."""
        if self.window.answered:
            self.window.answered.pages += 1

    @property
    def may_go_on(self) -> bool:
        """Whether it has come anywhere, and can be gone on with from there."""
        answered = self.window.answered
        return bool(answered and answered.pages and answered.whole)

    def goes_on(self, checkpoint: Checkpoint, overlap: timedelta) -> bool:
        """Whether it is still what is to be read next: nobody has come further meanwhile."""
        mine, theirs = (replace(each, clock_offset=timedelta()) for each in (self.checkpoint, checkpoint))
        return mine == theirs and self.overlap == overlap

    def clock_offset(self, page: Page, now: datetime) -> timedelta:
        """The provider's clock minus ours, with what this page's `Date` says; the first pass takes it as it is said."""
        return _smoothed(self.checkpoint, page.server_date, now)

    def after(self, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime) -> "Pass":
        """The pass with one more page stored. `changed`: the external ids that were new or different in the store.

        Only a complete pass moves the checkpoint.
        """
        offset = self.clock_offset(page, now)
        checkpoint = replace(self.checkpoint, clock_offset=offset)
        left_alone = [until for until in (self.not_before, page.not_before) if until]
        step = replace(
            self,
            checkpoint=checkpoint,
            newest=_newest(self.newest, items, self.begun_at + offset),
            not_before=max(left_alone, default=None),
        )
        if self.contract.order is Order.NEWEST_FIRST and not self.contract.filters_from:
            step = replace(step, known_since=_known_since(step.known_since, items, changed))
        if page.last or _may_end(step, items):
            return replace(step, complete=True, checkpoint=_closed(step, page))
        return step


def begin(
    contract: Contract, checkpoint: Checkpoint, start_at: datetime | None, overlap: timedelta, now: datetime
) -> Pass:
    """A pass from the high-water mark less the overlap, or from `start_at`; to the provider's now without an order.

    Both ends are widened by one grain, so that inclusive or exclusive bounds make no difference. Where rows come in
    an order, new ones land at its end, and the window needs none.
    """
    begins = earliest(contract, start_at, checkpoint.clock_offset)
    mark = checkpoint.high_water and checkpoint.high_water - overlap - contract.grain
    marks = [each for each in (begins, mark) if each]
    start = max(marks) if marks and contract.filters_from else None
    drifts = contract.filters_to and contract.order is Order.UNKNOWN
    end = now + checkpoint.clock_offset + contract.grain if drifts else None
    begun_at = now + checkpoint.clock_offset
    window = Window(start, end, checkpoint.validators, checkpoint.newest_id, Answered(), begun_at)
    return Pass(contract, overlap, now, window, checkpoint)


def _newest(so_far: datetime | None, items: Sequence[Outlined], begun_at: datetime) -> datetime | None:
    """What was made since the pass began doesn't count: what shows up late meanwhile may have been passed already."""
    until = begun_at + FUTURE_GRACE
    seen = [at for item in items if (at := item.occurred_at) and at <= until]
    return max(seen if so_far is None else [*seen, so_far], default=None)


def _known_since(so_far: datetime | None, items: Sequence[Outlined], changed: Collection[str]) -> datetime | None:
    """Where the unbroken run of known rows begins; a new or changed row breaks it, an undated one doesn't count."""
    for item in items:
        at = item.occurred_at
        if item.external_id in changed:
            so_far = None
        elif so_far is None:
            so_far = at
    return so_far


def earliest(contract: Contract, start_at: datetime | None, clock_offset: timedelta) -> datetime | None:
    """`start_at` on the provider's clock: earlier where that is behind ours, and as coarse as its times are.

    Never later: a `start_at` that was written down may mean the provider's clock already.
    """
    return start_at and start_at + min(clock_offset, timedelta()) - contract.grain


def _smoothed(checkpoint: Checkpoint, server_date: datetime | None, now: datetime) -> timedelta:
    """`Date` has whole seconds: a difference below one is no difference."""
    if server_date is None:
        return checkpoint.clock_offset
    seen = server_date - now
    if abs(seen) < timedelta(seconds=1):
        seen = timedelta()
    if checkpoint.covered_until is None:
        return seen
    return checkpoint.clock_offset + (seen - checkpoint.clock_offset) * _SMOOTHING


def _may_end(step: Pass, items: Sequence[Outlined]) -> bool:
    """Newest first, without a filter: a whole overlap was known and unchanged, so what follows is too.

    Only rows up to the high-water mark count: those above it may be known from a pass that was cut off.
    """
    if step.known_since is None or step.checkpoint.high_water is None:
        return False
    oldest = min((at for item in items if (at := item.occurred_at)), default=None)
    return oldest is not None and min(step.known_since, step.checkpoint.high_water) - oldest > step.overlap


def _closed(step: Pass, last: Page) -> Checkpoint:
    marks = [mark for mark in (step.checkpoint.high_water, step.newest) if mark]
    return replace(
        step.checkpoint,
        high_water=max(marks, default=None),
        covered_until=step.begun_at,
        validators=last.validators or step.checkpoint.validators,
        newest_id=last.newest_id or step.checkpoint.newest_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSummary:
    """What one poll did (INTERFACE, section 3: `tocsin poll`). `complete`: its live pass came to its end."""

    pages: int = 0
    fetched: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    repairs: int = 0
    covered_until: datetime | None = None
    not_before: datetime | None = None
    complete: bool = False
