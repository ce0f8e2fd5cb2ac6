"""The guards, each taken away by itself: a machine without it, and the API that then makes it lose something."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.tormentor import plain
from tests.tormentor.course import Machine, with_contract
from tests.tormentor.shape import What
from worker import progress
from worker.errors import ContractBroken
from worker.intake import normalise_all
from worker.notification import Normalised, Outlined, RejectedItem
from worker.progress import Checkpoint, Pass
from worker.provider import Answered, Contract, Page, Provider
from worker.revision import Known, Revision, revise

_FAR = datetime(9990, 1, 1, tzinfo=UTC)
_NOTHING = timedelta()


@dataclass(frozen=True)
class Weakened:
    """A machine without one guard. `api`: the contract under which it is missed, by its name in CONTRACTS.

    `likely`, `where`: in which runs it may be missed, as most of all have no use for it.
    """

    without: str
    machine: Machine
    api: str
    likely: tuple[What, ...] | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


def _no_overlap(contract: Contract, checkpoint: Checkpoint, start_at: Any, _: timedelta, now: datetime) -> Pass:
    return progress.begin(contract, checkpoint, start_at, _NOTHING, now)


def _from_the_clock(contract: Contract, checkpoint: Checkpoint, start_at: Any, overlap: Any, now: datetime) -> Pass:
    """From when it was last read, by our clock."""
    read_at = checkpoint.covered_until
    return progress.begin(contract, replace(checkpoint, high_water=read_at), start_at, overlap, now)


def _grainless(contract: Contract, checkpoint: Checkpoint, start_at: Any, overlap: Any, now: datetime) -> Pass:
    return progress.begin(replace(contract, grain=_NOTHING), checkpoint, start_at, overlap, now)


def _risen_with_each_page(
    step: Pass, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime
) -> Pass:
    """The mark rises while the pass is under way."""
    after = step.after(page, items, changed, now)
    marks = [mark for mark in (after.checkpoint.high_water, after.newest) if mark]
    return replace(after, checkpoint=replace(after.checkpoint, high_water=max(marks, default=None)))


def _risen_into_the_future(
    step: Pass, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime
) -> Pass:
    """Future-dated rows move the mark."""
    after = step.after(page, items, changed, now)
    times = [at for item in items if (at := item.occurred_at)]
    newest = max([*times, *([after.newest] if after.newest else [])], default=None)
    after = replace(after, newest=newest)
    marks = [mark for mark in (after.checkpoint.high_water, newest) if mark]
    mark = max(marks, default=None) if after.complete else after.checkpoint.high_water
    return replace(after, checkpoint=replace(after.checkpoint, high_water=mark))


def _risen_while_reading(
    step: Pass, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime
) -> Pass:
    """What was made while the pass was under way moves the mark."""
    return replace(step, begun_at=now).after(page, items, changed, now)


def _fallen(step: Pass, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime) -> Pass:
    """The mark is whatever the last pass saw."""
    after = step.after(page, items, changed, now)
    mark = after.newest if after.complete else after.checkpoint.high_water
    return replace(after, checkpoint=replace(after.checkpoint, high_water=mark))


def _ended_by_a_known_page(
    step: Pass, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime
) -> Pass:
    """A page without anything new ends the pass."""
    known = bool(items) and not changed and not page.last
    return step.after(replace(page, last=True) if known else page, items, changed, now)


def _ended_above_the_mark(
    step: Pass, page: Page, items: Sequence[Outlined], changed: Collection[str], now: datetime
) -> Pass:
    """Rows count as known wherever they are, also those of a pass that was cut off."""
    bold = replace(step, checkpoint=replace(step.checkpoint, high_water=_FAR)).after(page, items, changed, now)
    return step.after(replace(page, last=bold.complete), items, changed, now)


def _all_or_none(provider: Provider, raw: Sequence[Any], now: datetime) -> tuple[list[Normalised], list[RejectedItem]]:
    """One item that can't be normalised fails its page."""
    items, unfit = normalise_all(provider, raw, now)
    if unfit:
        raise ContractBroken(unfit[0].reason)
    return items, unfit


def _shrugged_off(provider: Provider, raw: Sequence[Any], now: datetime) -> tuple[list[Normalised], list[RejectedItem]]:
    """An item that can't be normalised is passed over."""
    return normalise_all(provider, raw, now)[0], []


def _always(source: str, item: Normalised, known: Known | None) -> Revision | None:
    """Every copy is told."""
    return revise(source, item, known and replace(known, content_hash=""))


def _reopened(source: str, item: Normalised, known: Known | None) -> Revision | None:
    """An older copy counts like a newer one."""
    return revise(source, item, known and replace(known, updated_at=datetime.min.replace(tzinfo=UTC)))


def _once(source: str, item: Normalised, known: Known | None) -> Revision | None:
    """What is known is not looked at again."""
    return None if known else revise(source, item, known)


def _forgotten(answered: Answered | None) -> None:
    """A pass that is gone on with skips the pages that are stored, whatever stands there now."""
    if answered:
        answered.readings.clear()


OFFSET, GOVAPP = "offset, newest first", "offset, unknown order, from and to (GovApp)"
REGISTER, BOOKKEEP = "offset, oldest first, from and to (Realtime Register)", "page number, newest first (Bookkeep)"
LINK, CURSOR = "link that drifts, newest first, from (GitHub)", "cursor that stays, oldest first, from"
UNFILTERED = "offset, unknown order"

_EACH_SECOND = {"gaps": (1,) * 30, "tick": timedelta(seconds=1), "inclusive": False, "spread": False}
_AT_THE_START = {"gaps": (1, 1, 0), "from_now": True, "inclusive": False}
_FAR_APART, _FEW = {"gaps": (120,) * 6}, {"gaps": (1,) * 3}
_NOW_AND_THEN = (What.NOTHING, What.NOTHING, What.INSERT)
_LATE = (*_NOW_AND_THEN, What.LATE, What.WAIT)
_AND_GO, _AND_DIE = (*_NOW_AND_THEN, What.REMOVE), (*_NOW_AND_THEN, What.CRASH)
_AND_WAIT = (*_NOW_AND_THEN, What.REMOVE, What.THROTTLE)
_CHANGES = (*_NOW_AND_THEN, What.CHANGE, What.STALE)

WEAKENED = [
    Weakened("an anchor for each offset", Machine(pages=plain.Plain()), OFFSET),
    Weakened("a second look at numbered pages", Machine(pages=plain.Plain()), BOOKKEEP, _AND_GO),
    Weakened("a second look at pages behind links", with_contract(Machine(), drifts=False), LINK, _AND_GO),
    Weakened("an empty page as the only end", Machine(pages=plain.Plain(plain.fewer_than_asked)), OFFSET),
    Weakened("distrust in the total", Machine(pages=plain.Plain(plain.the_total)), OFFSET),
    Weakened("the cap of a server adopted", Machine(pages=plain.Plain(step=plain.as_asked)), OFFSET),
    Weakened("one host alone", Machine(pages=plain.following_any_link), LINK, (What.NOTHING, What.FOREIGN)),
    Weakened("no link twice", Machine(pages=plain.following_any_link), LINK, (What.NOTHING, What.CIRCLE)),
    Weakened("a filter that no row can leave", Machine(pages=plain.only_what_is_new), GOVAPP),
    Weakened("a grain between windows", Machine(pages=plain.without_grain), GOVAPP, where=_EACH_SECOND),
    Weakened("a grain before the start", Machine(begin=_grainless), REGISTER, where=_AT_THE_START),
    Weakened("an overlap", Machine(begin=_no_overlap), REGISTER, _LATE),
    Weakened("a mark by the provider's clock", Machine(begin=_from_the_clock), REGISTER, _LATE),
    Weakened("a mark that waits for the pass to be complete", Machine(after=_risen_with_each_page), GOVAPP),
    Weakened("distrust in future dates", Machine(after=_risen_into_the_future), REGISTER),
    Weakened("a mark from before the pass began", Machine(after=_risen_while_reading), REGISTER, _LATE),
    Weakened("a mark that never falls", Machine(after=_fallen), REGISTER, _AND_GO),
    Weakened("a whole overlap that is known", Machine(after=_ended_by_a_known_page), BOOKKEEP, _LATE),
    Weakened("the mark, for what counts as known", Machine(after=_ended_above_the_mark), BOOKKEEP),
    Weakened("what a pass was answered before it was cut short", Machine(kept=_forgotten), BOOKKEEP, _AND_WAIT),
    Weakened("items rejected one by one", Machine(normalise_all=_all_or_none), REGISTER),
    Weakened("rejected items kept", Machine(normalise_all=_shrugged_off), REGISTER),
    Weakened("a comparison of what is known", Machine(revise=_always), REGISTER),
    Weakened("closed ones that stay closed", Machine(revise=_reopened), UNFILTERED, _CHANGES, _FEW),
    Weakened("a look at what is known", Machine(revise=_once), REGISTER),
    Weakened("one commit for rows and progress", Machine(checkpoint_first=True), CURSOR, _AND_DIE, _FAR_APART),
]
