from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rest.timed import BEGIN, at_of, row
from worker.errors import ContractBroken
from worker.provider import Page
from worker.rest.ids import Ids, backward, onward
from worker.rest.trail import Reading

OVERLAP = timedelta(seconds=10)
NOW = BEGIN + timedelta(hours=1)


def known(overlap: timedelta = OVERLAP, *, newest_first: bool = True, numeric: bool = True) -> Ids:
    return Ids(key=lambda one: one.get("id"), when=at_of, newest_first=newest_first, numeric=numeric, overlap=overlap)


class Log:
    """Rows by growing ids; `between` happens after each request."""

    def __init__(self, rows: list[dict[str, Any]], cap: int = 100, *, says: bool = False) -> None:
        self.rows, self.cap, self.says = rows, cap, says
        self.asked: list[tuple[str | None, int]] = []
        self.between: Iterator[list[dict[str, Any]]] = iter(())

    def after(self, name: str | None, size: int) -> Reading:
        start = 0 if name is None else self._place(name) + 1
        return self._page(name, self.rows[start:], size, slice(0, min(size, self.cap)))

    def before(self, name: str | None, size: int) -> Reading:
        end = len(self.rows) if name is None else self._place(name)
        return self._page(name, self.rows[:end], size, slice(-min(size, self.cap), None))

    def _page(self, name: str | None, found: list[dict[str, Any]], size: int, part: slice) -> Reading:
        self.asked.append((name, size))
        rows = found[part][::-1]
        self.rows = next(self.between, self.rows)
        return Reading(rows=rows, more=len(found) > len(rows) if self.says else None, server_date=NOW)

    def _place(self, name: str | None) -> int:
        return next((place for place, one in enumerate(self.rows) if one.get("id") == name), -1)


def numbered(count: int) -> list[dict[str, Any]]:
    return [row(number, number) for number in range(95, 95 + count)]


def names(pages: list[Page]) -> list[Any]:
    return [one.get("id") for page in pages for one in page.items]


@given(
    count=st.integers(0, 40), size=st.integers(1, 9), cap=st.integers(1, 9), says=st.booleans(), numeric=st.booleans()
)
@settings(deadline=None)
def test_everything_is_read_to_the_end_in_either_direction(
    count: int, size: int, cap: int, *, says: bool, numeric: bool
) -> None:
    expected = [one["id"] for one in numbered(count)]

    forth = list(onward(Log(numbered(count), cap, says=says).after, known(numeric=numeric), None, size))
    back = list(backward(Log(numbered(count), cap, says=says).before, known(numeric=numeric), size))

    assert (names(forth), names(back)) == (expected, sorted(expected, key=int, reverse=True))
    for pages in (forth, back):
        assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]


def test_decimal_ids_are_compared_as_numbers() -> None:
    log = Log(numbered(10))

    list(onward(log.after, known(), None, 5))

    assert [name for name, _ in log.asked] == [None, "99", "104"]


def test_an_id_is_kept_that_is_older_than_the_overlap() -> None:
    pages = list(onward(Log(numbered(30)).after, known(), None, 100))

    assert pages[-1].newest_id == "114"


def test_the_position_that_may_be_kept_going_back_stands_on_the_last_page() -> None:
    pages = list(backward(Log(numbered(30)).before, known(), 10))

    assert [page.newest_id for page in pages] == [None, None, None, "114"]


def test_a_position_stays_where_nothing_is_new_enough_to_leave_it() -> None:
    log = Log(numbered(8))

    assert [page.newest_id for page in onward(log.after, known(), "97", 100)] == ["97", "97"]


def test_a_row_that_is_shown_late_is_read_the_next_time() -> None:
    rows = numbered(30)
    late = rows.pop(25)
    (kept,) = {page.newest_id for page in onward(Log(rows).after, known(), None, 100)}
    again = list(onward(Log(numbered(30)).after, known(), kept, 100))

    assert late["id"] in names(again)


def test_what_is_made_while_a_long_pass_goes_on_settles_nothing_that_was_read_before() -> None:
    """A row may be shown late while the pass goes on, before what it has passed."""
    ids = replace(known(), begun_at=BEGIN + timedelta(seconds=104))  # the newest row is of the 99th

    pages = list(onward(Log([*numbered(5), row(120, 120)]).after, ids, None, 1))

    assert {page.newest_id for page in pages} == {None}


def test_where_every_row_was_made_since_the_pass_began_by_a_clock_ahead_of_ours_none_is_settled() -> None:
    ids = replace(known(), begun_at=BEGIN)

    assert {page.newest_id for page in onward(Log(numbered(30)).after, ids, None, 100)} == {None}


@pytest.mark.parametrize("second", [99_999_999.0, None])
def test_a_row_of_another_time_that_comes_first_is_as_old_as_the_next(second: float | None) -> None:
    """Rows from before the next may still be shown late, with ids before its own."""
    rows = [row(90, second), row(95, 95), row(97, 97)]

    assert {page.newest_id for page in onward(Log(rows).after, known(), None, 100)} == {None}
    assert list(onward(Log([*rows, row(106, 106)]).after, known(), None, 100))[-1].newest_id == "95"


def test_rows_from_the_future_alone_settle_nothing() -> None:
    rows = [row(number, 99_999_999.0) for number in range(3)]

    assert {page.newest_id for page in onward(Log(rows).after, known(), None, 100)} == {None}


@pytest.mark.parametrize("second", [99_999_999.0, None])
def test_a_row_of_another_time_neither_holds_the_position_nor_moves_it(second: float | None) -> None:
    rows = numbered(30)
    rows[5] = {**rows[5], "at": second and BEGIN + timedelta(seconds=second)}

    assert list(onward(Log(rows).after, known(), None, 100))[-1].newest_id == "114"


def test_rows_that_have_no_time_at_all_are_passed() -> None:
    rows = [row(number, None) for number in range(5)]

    assert list(onward(Log(rows).after, known(), None, 100))[-1].newest_id == "4"


@pytest.mark.parametrize("direction", ["onward", "backward"])
@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_rows_without_an_id_are_read_past(direction: str, size: int, *, says: bool) -> None:
    rows = numbered(3) + [{"at": None, "note": note} for note in range(4)] + [row(300, 300)]
    log = Log(rows, says=says)
    read = onward(log.after, known(), None, size) if direction == "onward" else backward(log.before, known(), size)

    assert sum(len(page.items) for page in read) == 8


def test_pages_without_any_id_are_a_broken_contract() -> None:
    rows = [{"at": None, "note": note} for note in range(500)]

    with pytest.raises(ContractBroken, match="no usable id"):
        list(onward(Log(rows, says=True).after, known(), None, 2))


def test_capped_pages_without_any_id_that_say_that_more_follow_are_a_broken_contract() -> None:
    rows = [{"at": None, "note": note} for note in range(500)]

    with pytest.raises(ContractBroken, match="no usable id"):
        list(onward(Log(rows, 3, says=True).after, known(), None, 3))


def test_a_cursor_that_is_ignored_ends_the_reading() -> None:
    pages = list(onward(lambda _name, _size: Reading(rows=numbered(3)[::-1]), known(), None, 10))

    assert (names(pages), len(pages)) == (["95", "96", "97"], 3)


def test_rows_that_come_oldest_first_are_told_as_they_come() -> None:
    def read(name: str | None, _: int) -> Reading:
        return Reading(rows=numbered(3) if name is None else [])

    pages = list(onward(read, known(newest_first=False, numeric=False), None, 10))

    assert names(pages) == ["95", "96", "97"]
