from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.errors import ContractBroken
from worker.provider import Page
from worker.rest.paging import Reading, anchored_offset

Make = Callable[..., Any]
Read = Callable[..., list[Page]]

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
ANYWHERE = st.floats(0, 1)
REMOVAL = st.tuples(st.just("remove"), ANYWHERE)
INSERTION = st.tuples(st.just("insert"), ANYWHERE)
APPENDING = st.tuples(st.just("insert"), st.just(1.0))


def turns(change: st.SearchStrategy[tuple[str, float]]) -> st.SearchStrategy[list[list[tuple[str, float]]]]:
    return st.lists(st.lists(change, max_size=3), max_size=30)


def ids(pages: list[Page]) -> list[str]:
    return [row["id"] for page in pages for row in page.items]


def repairs(pages: list[Page]) -> int:
    return sum(page.repairs for page in pages)


@given(count=st.integers(0, 60), cap=st.integers(2, 12), changes=turns(REMOVAL | INSERTION), counts=st.booleans())
@SHARED
def test_no_row_that_stays_is_lost_whatever_vanishes_or_appears(
    model: Make, read_offsets: Read, count: int, cap: int, changes: Any, *, counts: bool
) -> None:
    served = model(count, cap=cap, changes=changes, counts=counts)

    assert served.missed(read_offsets(served)) == []


@given(count=st.integers(0, 30), changes=turns(REMOVAL | APPENDING), counts=st.booleans())
@SHARED
def test_no_row_that_stays_is_lost_where_pages_hold_one_row(
    model: Make, read_offsets: Read, count: int, changes: Any, *, counts: bool
) -> None:
    served = model(count, cap=1, changes=changes, counts=counts)

    assert served.missed(read_offsets(served)) == []


@given(count=st.integers(0, 60), caps=st.lists(st.integers(1, 9), min_size=40), counts=st.booleans())
@SHARED
def test_pages_of_ever_different_sizes_are_read_to_the_end(
    model: Make, count: int, caps: list[int], *, counts: bool
) -> None:
    served = model(count, counts=counts)

    def read(offset: int, size: int) -> Reading:
        served.cap = caps[len(served.asked) % len(caps)]
        reading: Reading = served.by_offset(offset, size)
        return reading

    assert served.missed(list(anchored_offset(read, 10, lambda row: row["id"]))) == []


@given(st.lists(st.none() | st.integers(0, 5), max_size=40), st.integers(1, 7))
@SHARED
def test_rows_without_an_id_at_the_borders_hide_no_others(
    model: Make, read_offsets: Read, named: list[int | None], cap: int
) -> None:
    rows = [{"note": index} if name is None else {"id": str(index)} for index, name in enumerate(named)]
    served = model(rows, cap=cap)

    pages = read_offsets(served)

    assert [row for page in pages for row in page.items] == rows
    assert repairs(pages) == 0


@pytest.mark.parametrize(
    ("count", "counts", "expected"),
    [
        (0, True, [(0, 10)]),
        (1, True, [(0, 10), (1, 10)]),
        (3, True, [(0, 10), (2, 10)]),
        (3, False, [(0, 10), (2, 10), (3, 10)]),
        (10, True, [(0, 10), (9, 10)]),
        (11, True, [(0, 10), (9, 10), (10, 10)]),
    ],
)
def test_the_end_costs_one_request_with_a_total_and_two_without(
    model: Make, read_offsets: Read, count: int, expected: list[tuple[int, int]], *, counts: bool
) -> None:
    served = model(count, counts=counts)

    read_offsets(served)

    assert served.asked == expected


def test_every_row_is_given_once_and_in_order(model: Make, read_offsets: Read) -> None:
    assert ids(read_offsets(model(35))) == [str(number) for number in range(35)]


def test_a_capped_page_is_not_the_end(model: Make, read_offsets: Read) -> None:
    assert len(ids(read_offsets(model(35, cap=4), size=100))) == 35


def test_one_row_is_never_asked_for_alone(model: Make, read_offsets: Read) -> None:
    served = model(3)

    read_offsets(served, size=1)

    assert {size for _, size in served.asked} == {2}


def test_one_row_a_page_is_read_to_the_end_without_repairs(model: Make, read_offsets: Read) -> None:
    pages = read_offsets(model(12, cap=1))

    assert (len(ids(pages)), repairs(pages)) == (12, 0)


def test_rows_that_vanish_above_are_one_repair(model: Make, read_offsets: Read) -> None:
    served = model(35, changes=[[("remove", 0.0), ("remove", 0.0), ("remove", 0.0)]])

    pages = read_offsets(served)

    assert (served.missed(pages), repairs(pages)) == ([], 1)


def test_a_page_that_is_empty_too_early_is_a_repair(model: Make, read_offsets: Read) -> None:
    served = model(20, changes=[[("remove", 0.0)] * 14])

    pages = read_offsets(served)

    assert (served.missed(pages), repairs(pages)) == ([], 1)


def test_a_list_that_vanishes_altogether_ends_the_reading(model: Make, read_offsets: Read) -> None:
    pages = read_offsets(model(20, changes=[[("remove", 0.0)] * 20]))

    assert len(ids(pages)) == 10


def test_rows_inserted_above_are_no_repair(model: Make, read_offsets: Read) -> None:
    served = model(35, changes=[[("insert", 0.0)], [("insert", 0.0)]])

    pages = read_offsets(served)

    assert (served.missed(pages), repairs(pages)) == ([], 0)


def test_a_page_that_looks_like_the_one_before_is_not_taken_for_the_end(model: Make, read_offsets: Read) -> None:
    served = model(30, changes=[[("insert", 0.0)] * 9])

    assert served.missed(read_offsets(served)) == []


@pytest.mark.parametrize("total", [None, 5])
def test_a_page_seen_twice_ends_the_reading(read_offsets: Read, total: int | None) -> None:
    class Deaf:
        def by_offset(self, _offset: int, _size: int) -> Reading:
            return Reading(rows=[{"id": str(number)} for number in range(5)], total=total)

    assert ids(read_offsets(Deaf())) == ["0", "1", "2", "3", "4"]


def test_a_page_seen_twice_is_a_broken_contract_where_the_total_is_more(read_offsets: Read) -> None:
    class Deaf:
        def by_offset(self, _offset: int, _size: int) -> Reading:
            return Reading(rows=[{"id": "1"}, {"id": "2"}], total=9)

    with pytest.raises(ContractBroken, match="9 rows"):
        read_offsets(Deaf())


def test_an_offset_that_is_held_down_to_the_last_page_ends_the_reading(read_offsets: Read) -> None:
    class Held:
        def by_offset(self, offset: int, _size: int) -> Reading:
            start = min(offset, 12)
            return Reading(rows=[{"id": str(number)} for number in range(start, min(start + 4, 16))])

    assert len(ids(read_offsets(Held()))) == 16


def test_a_total_alone_ends_nothing(model: Make, read_offsets: Read) -> None:
    served = model(35)

    class Understating:
        def by_offset(self, offset: int, size: int) -> Reading:
            reading = served.by_offset(offset, size)
            return Reading(rows=reading.rows, total=len(reading.rows))

    assert served.missed(read_offsets(Understating())) == []


def test_rows_without_end_are_a_broken_contract(read_offsets: Read) -> None:
    class Endless:
        def __init__(self) -> None:
            self.asked = 0

        def by_offset(self, _offset: int, _size: int) -> Reading:
            self.asked += 1
            return Reading(rows=[{"id": "1"}, {"id": "2" if self.asked % 2 else "3"}])

    with pytest.raises(ContractBroken, match="no end"):
        read_offsets(Endless())


def test_the_next_page_begins_with_the_whole_group_of_ties(model: Make, read_offsets: Read) -> None:
    rows = [{"id": str(number), "at": number // 4} for number in range(12)]
    served = model(rows, cap=6)

    pages = read_offsets(served, tie=lambda row: row["at"])

    assert ids(pages) == [row["id"] for row in rows]
    assert [offset for offset, _ in served.asked][:3] == [0, 4, 8]


def test_ties_that_change_places_between_two_requests_are_not_lost() -> None:
    asked: list[int] = []

    def read(offset: int, size: int) -> Reading:
        asked.append(offset)
        group = ["b", "c"] if len(asked) % 2 else ["c", "b"]
        rows = [{"id": name, "at": 0 if name == "a" else 1 if name in "bc" else 2} for name in ["a", *group, "d", "e"]]
        return Reading(rows=rows[offset : offset + min(size, 3)])

    pages = list(anchored_offset(read, 10, lambda row: row["id"], lambda row: row["at"]))

    assert sorted(ids(pages)) == ["a", "b", "c", "d", "e"]


def test_a_page_carries_the_server_s_date() -> None:
    date = datetime(2026, 3, 20, 12, tzinfo=UTC)

    pages = list(anchored_offset(lambda _offset, _size: Reading(rows=[], server_date=date), 10, lambda _: None))

    assert pages == [Page(items=[], last=True, server_date=date)]


def test_rows_of_one_id_on_one_page_are_all_given(model: Make, read_offsets: Read) -> None:
    rows = [{"id": "1", "a": 1}, {"id": "1", "a": 2}]

    assert [row for page in read_offsets(model(rows)) for row in page.items] == rows


def test_a_row_without_an_id_may_be_nested_beyond_measure(model: Make, read_offsets: Read) -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]

    assert len(read_offsets(model([deep]))) == 3
