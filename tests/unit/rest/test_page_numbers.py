from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.errors import ContractBroken
from worker.provider import Page
from worker.rest.paging import Reading, page_numbers

Make = Callable[..., Any]
Read = Callable[..., list[Page]]

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
REMOVAL = st.tuples(st.just("remove"), st.floats(0, 1))
ON_TOP = st.tuples(st.just("insert"), st.just(0.0))


def turns(change: st.SearchStrategy[tuple[str, float]]) -> st.SearchStrategy[list[list[tuple[str, float]]]]:
    return st.lists(st.lists(change, max_size=12), max_size=30)


def ids(pages: list[Page]) -> list[str]:
    return [row["id"] for page in pages for row in page.items]


def repairs(pages: list[Page]) -> int:
    return sum(page.repairs for page in pages)


@given(st.integers(0, 60), st.integers(1, 12), turns(REMOVAL) | turns(ON_TOP))
@SHARED
def test_no_row_that_stays_is_lost_when_rows_vanish_or_when_rows_come_on_top(
    model: Make, read_numbers: Read, count: int, cap: int, changes: Any
) -> None:
    served = model(count, cap=cap, changes=changes)

    assert served.missed(read_numbers(served)) == []


@pytest.mark.parametrize("count", [0, 1, 9, 10])
def test_a_pass_of_one_page_costs_one_request(model: Make, read_numbers: Read, count: int) -> None:
    served = model(count)

    assert len(ids(read_numbers(served))) == count
    assert served.asked == [(1, 10)]


def test_each_page_is_read_again_after_the_one_that_follows_it(model: Make, read_numbers: Read) -> None:
    served = model(25)

    read_numbers(served)

    assert [number for number, _ in served.asked] == [1, 2, 1, 3, 2]


def test_every_row_is_given_once_and_in_order(model: Make, read_numbers: Read) -> None:
    assert ids(read_numbers(model(35))) == [str(number) for number in range(35)]


def test_the_cap_of_a_server_is_asked_for_from_then_on(model: Make, read_numbers: Read) -> None:
    served = model(25, cap=10)

    pages = read_numbers(served, size=100)

    assert len(ids(pages)) == 25
    assert served.asked == [(1, 100), (2, 10), (1, 10), (3, 10), (2, 10)]


def test_a_cap_that_shrinks_in_the_middle_loses_nothing(model: Make) -> None:
    served = model(60)

    def read(number: int, size: int) -> Reading:
        served.cap = 20 if len(served.asked) < 2 else 7
        reading: Reading = served.by_number(number, size)
        return reading

    assert served.missed(list(page_numbers(read, 20, lambda row: row["id"]))) == []


def test_rows_pushed_up_across_the_border_are_one_repair(model: Make, read_numbers: Read) -> None:
    served = model(35, changes=[[("remove", 0.0)] * 3])

    pages = read_numbers(served)

    assert (served.missed(pages), repairs(pages)) == ([], 1)


def test_the_pages_before_are_read_again_while_they_begin_with_new_rows(model: Make, read_numbers: Read) -> None:
    served = model(60, changes=[(), (), [("remove", 0.0)] * 15])

    pages = read_numbers(served)

    assert (served.missed(pages), repairs(pages)) == ([], 1)


def test_a_list_that_shrinks_above_the_page_that_was_read_loses_nothing(model: Make, read_numbers: Read) -> None:
    served = model(40, changes=[(), (), (), [("remove", 0.0)] * 35])

    assert served.missed(read_numbers(served)) == []


def test_rows_inserted_on_top_are_no_repair(model: Make, read_numbers: Read) -> None:
    served = model(35, changes=[[("insert", 0.0)] * 3] * 3)

    pages = read_numbers(served)

    assert (served.missed(pages), repairs(pages)) == ([], 0)


def test_an_empty_page_is_the_end_whatever_is_said_of_more() -> None:
    def read(number: int, _size: int) -> Reading:
        return Reading(rows=[{"id": "1"}] if number == 1 else [], more=True)

    assert ids(list(page_numbers(read, 1, lambda row: row["id"]))) == ["1"]


def test_where_nothing_is_said_of_more_an_empty_page_is_the_end(model: Make) -> None:
    served = model(27)

    def read(number: int, size: int) -> Reading:
        return Reading(rows=served.by_number(number, size).rows)

    assert served.missed(list(page_numbers(read, 10, lambda row: row["id"]))) == []


def test_a_page_seen_twice_ends_the_reading() -> None:
    def read(_number: int, _size: int) -> Reading:
        return Reading(rows=[{"id": "1"}, {"id": "2"}], more=True)

    pages = list(page_numbers(read, 2, lambda row: row["id"]))

    assert (ids(pages), [page.last for page in pages]) == (["1", "2"], [False, False, False, True])


def test_a_page_seen_twice_is_a_broken_contract_where_the_total_is_more() -> None:
    def read(_number: int, _size: int) -> Reading:
        return Reading(rows=[{"id": "1"}, {"id": "2"}], more=True, total=9)

    with pytest.raises(ContractBroken, match="9 rows"):
        list(page_numbers(read, 2, lambda row: row["id"]))


def test_pages_without_end_are_a_broken_contract() -> None:
    def read(number: int, _size: int) -> Reading:
        return Reading(rows=[{"id": "1"}, {"id": str(number % 2)}], more=True)

    with pytest.raises(ContractBroken, match="no end"):
        list(page_numbers(read, 2, lambda row: row["id"]))


def test_rows_without_an_id_hide_no_others(model: Make, read_numbers: Read) -> None:
    rows = [{"note": number} if number % 3 else {"id": str(number)} for number in range(40)]
    served = model(rows)

    assert [row for page in read_numbers(served) for row in page.items] == rows
