from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes import AT, NewestFirst, ScriptedProvider
from worker.notification import Outline, Status
from worker.progress import FUTURE_GRACE, Checkpoint, Pass, begin, earliest
from worker.provider import Contract, Order, Page, Window

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
OVERLAP = 10 * MINUTE
WINDOWED, NEWEST_FIRST = ScriptedProvider.contract, NewestFirst.contract
MARK = Checkpoint(high_water=AT)


def _row(name: str, at: datetime | None) -> Outline:
    return Outline(name, Status.NEW, at, {})


def _rows(*minutes: float | None) -> list[Outline]:
    """Rows that are so many minutes older than the mark."""
    return [_row(f"m{age}", None if age is None else AT - MINUTE * age) for age in minutes]


def _page(*, last: bool = False, date: datetime | None = None) -> Page:
    return Page(items=(), last=last, server_date=date)


def _begin(contract: Contract = WINDOWED, checkpoint: Checkpoint = MARK, start_at: datetime | None = None) -> Pass:
    return begin(contract, checkpoint, start_at, OVERLAP, AT)


def _after(step: Pass, *ages: float | None, changed: tuple[str, ...] = (), last: bool = False) -> Pass:
    return step.after(_page(last=last), _rows(*ages), changed, AT)


def test_a_first_pass_begins_at_the_beginning() -> None:
    assert _begin(checkpoint=Checkpoint()).window == Window(None, AT + SECOND)


@pytest.mark.parametrize(
    ("start_at", "start"),
    [(None, AT - OVERLAP), (AT - MINUTE, AT - MINUTE), (AT - 20 * MINUTE, AT - OVERLAP)],
    ids=["none", "later", "earlier"],
)
def test_a_pass_begins_a_grain_before_the_later_of_start_and_mark(start_at: datetime | None, start: datetime) -> None:
    assert _begin(start_at=start_at).window.start == start - SECOND


def test_a_pass_ends_at_the_providers_now_and_a_grain() -> None:
    assert _begin(checkpoint=Checkpoint(clock_offset=-MINUTE)).window.end == AT - MINUTE + SECOND


def test_the_window_is_widened_by_the_grain_of_the_contract() -> None:
    assert _begin(replace(WINDOWED, grain=MINUTE)).window == Window(AT - OVERLAP - MINUTE, AT + MINUTE)


def test_what_cannot_be_filtered_is_not_asked_for() -> None:
    assert _begin(NEWEST_FIRST, start_at=AT).window == Window(None, None)


def test_a_page_that_is_not_the_last_moves_no_mark() -> None:
    step = _after(_begin(checkpoint=Checkpoint()), 1)
    assert (step.complete, step.checkpoint.high_water, step.checkpoint.covered_until) == (False, None, None)


def test_a_complete_pass_rises_to_the_newest_of_all_its_pages() -> None:
    step = _after(_after(_begin(checkpoint=Checkpoint()), 3, 1), 2, last=True)
    assert step.complete
    assert step.checkpoint == Checkpoint(AT - MINUTE, timedelta(), AT)


def test_an_empty_complete_pass_leaves_the_mark_and_covers() -> None:
    assert _after(_begin(), last=True).checkpoint == replace(MARK, covered_until=AT)


def test_a_mark_does_not_fall() -> None:
    assert _after(_begin(), 3, last=True).checkpoint.high_water == AT


@pytest.mark.parametrize(("ahead", "counts"), [(FUTURE_GRACE, True), (FUTURE_GRACE + SECOND, False)])
def test_what_is_further_ahead_than_the_grace_does_not_count(ahead: timedelta, counts: bool) -> None:  # noqa: FBT001  # a table
    step = _begin(checkpoint=Checkpoint()).after(_page(last=True), [_row("a", AT + ahead)], (), AT)
    assert step.checkpoint.high_water == (AT + ahead if counts else None)


def test_what_was_made_since_the_pass_began_moves_no_mark() -> None:
    step = _begin(checkpoint=Checkpoint()).after(_page(), [_row("a", AT)], (), AT)
    later = AT + 20 * MINUTE
    assert step.after(_page(last=True), [_row("b", later)], (), later).checkpoint.high_water == AT


def test_the_future_is_told_by_the_providers_clock() -> None:
    step = _begin(checkpoint=Checkpoint(clock_offset=MINUTE))
    assert step.after(_page(last=True), [_row("a", AT + MINUTE)], (), AT).checkpoint.high_water == AT + MINUTE


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        (None, 4.0),
        (AT + 10 * SECOND, 5.8),
        (AT + SECOND / 2, 2.8),
        (AT - 6 * SECOND, 1.0),
    ],
    ids=["none", "ahead", "less than a second", "behind"],
)
def test_the_clock_offset_is_smoothed(date: datetime | None, offset: float) -> None:
    step = _begin(checkpoint=Checkpoint(clock_offset=4 * SECOND, covered_until=AT - MINUTE)).after(
        _page(date=date), [], (), AT
    )
    assert step.checkpoint.clock_offset / SECOND == pytest.approx(offset)


def test_a_whole_overlap_that_is_known_ends_a_newest_first_pass() -> None:
    step = _after(_begin(NEWEST_FIRST), 0, 5, 11)
    assert step.complete
    assert step.checkpoint.covered_until == AT


def test_an_overlap_may_be_known_over_several_pages() -> None:
    step = _begin(NEWEST_FIRST)
    for ages in ((0, 3), (6, 9), (10,)):
        step = _after(step, *ages)
        assert not step.complete
    assert _after(step, 10.1).complete


def test_a_change_begins_the_run_anew() -> None:
    step = _after(_begin(NEWEST_FIRST), 0, 5, 11, 12, changed=("m5",))
    assert not step.complete
    assert _after(step, 20, 21.5).complete


def test_undated_rows_neither_end_nor_break_a_run() -> None:
    assert not _after(_begin(NEWEST_FIRST), None, None).complete
    assert _after(_begin(NEWEST_FIRST), None, 0, None, 11, None).complete


def test_rows_above_the_mark_do_not_count_as_known() -> None:
    assert not _after(_begin(NEWEST_FIRST), -30, -15, -1, 9).complete
    assert _after(_begin(NEWEST_FIRST), -30, -15, -1, 11).complete


def test_a_first_pass_never_ends_early() -> None:
    assert not _after(_begin(NEWEST_FIRST, Checkpoint()), 0, 5, 500).complete


@pytest.mark.parametrize("order", [Order.OLDEST_FIRST, Order.UNKNOWN])
def test_other_orders_never_end_early(order: Order) -> None:
    assert not _after(_begin(replace(NEWEST_FIRST, order=order)), 0, 5, 500).complete


def test_a_provider_that_can_filter_is_read_to_its_end() -> None:
    assert not _after(_begin(replace(WINDOWED, order=Order.NEWEST_FIRST)), 0, 5, 500).complete


def test_the_first_pass_takes_the_providers_clock_as_it_is_said() -> None:
    step = _begin().after(_page(date=AT - 2 * MINUTE), [], (), AT)
    assert step.checkpoint.clock_offset == -2 * MINUTE


@pytest.mark.parametrize(("offset", "earlier"), [(-MINUTE, MINUTE), (timedelta(), timedelta()), (MINUTE, timedelta())])
def test_a_start_is_earlier_where_the_provider_is_behind_and_never_later(offset: timedelta, earlier: timedelta) -> None:
    contract = _begin().contract
    assert earliest(contract, AT, offset) == AT - earlier - contract.grain
