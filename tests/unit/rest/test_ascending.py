from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rest.timed import BEGIN, GRAIN, TimedList, row
from worker.errors import ContractBroken
from worker.provider import Page, Window
from worker.rest.ascending import ascending

SINCE = Window(BEGIN - GRAIN)
CHANGES = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40)


def read(served: TimedList, window: Window = SINCE, size: int = 10, *, paged: bool = True) -> list[Page]:
    pages = list(ascending(served.windowed(size, paged=paged), window))
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages


@given(
    seconds=st.lists(st.floats(0, 3600) | st.integers(1000, 1003), max_size=60),
    changes=CHANGES,
    cap=st.integers(2, 12),
    counts=st.booleans(),
    inclusive=st.booleans(),
)
@settings(deadline=None)
def test_no_row_that_stays_is_lost_whatever_vanishes_or_appears(
    seconds: list[float], changes: Any, cap: int, *, counts: bool, inclusive: bool
) -> None:
    rows = [row(number, second) for number, second in enumerate(seconds)]
    served = TimedList(rows, order="ascending", cap=cap, counts=counts, inclusive=inclusive, changes=changes)

    assert served.missed(read(served), SINCE) == []


def test_each_page_is_the_first_one_from_the_last_timestamp() -> None:
    served = TimedList([row(number, number * 10) for number in range(35)], order="ascending")

    read(served)

    assert [offset for _, offset in served.asked[:-1]] == [0] * (len(served.asked) - 1)
    assert [window.start for window, _ in served.asked[:3]] == [
        SINCE.start,
        BEGIN + timedelta(seconds=89),
        BEGIN + timedelta(seconds=179),
    ]


def test_rows_that_vanish_before_the_last_timestamp_need_no_repair() -> None:
    served = TimedList([row(number, number * 10) for number in range(35)], order="ascending", changes=[(3, False)] * 5)

    pages = read(served)

    assert (served.missed(pages, SINCE), sum(page.repairs for page in pages)) == ([], 0)


def test_a_single_page_costs_two_requests() -> None:
    served = TimedList([row(number, number) for number in range(5)], order="ascending")

    read(served)

    assert served.asked == [(SINCE, 0), (SINCE, 4)]


@pytest.mark.parametrize("counts", [True, False])
def test_ties_larger_than_a_page_are_paged(counts: bool) -> None:  # noqa: FBT001  # pytest's
    rows = [row(number, 5 if 3 < number < 40 else number) for number in range(60)]
    served = TimedList(rows, order="ascending", counts=counts)

    assert served.missed(read(served), SINCE) == []


def test_an_order_that_does_not_hold_is_not_trusted() -> None:
    served = TimedList([row(number, number * 10) for number in range(35)], order="descending")

    assert served.missed(read(served), SINCE) == []
    assert {window.start for window, _ in served.asked} == {SINCE.start}


def test_a_filter_that_is_ignored_is_noticed() -> None:
    served = TimedList([row(number, number * 10) for number in range(100)], order="ascending", filters=False)

    assert served.missed(read(served), SINCE) == []
    assert len(served.asked) < 30


def test_a_row_without_a_time_ends_the_skipping_and_not_the_reading() -> None:
    rows = [*(row(number, number * 10) for number in range(15)), *(row(number, None) for number in range(15, 40))]
    served = TimedList(rows, order="ascending")

    assert served.missed(read(served), SINCE) == []


def test_an_api_with_one_page_alone_is_read_to_the_end_by_time() -> None:
    served = TimedList([row(number, number * 10) for number in range(35)], order="ascending", counts=False)

    assert served.missed(read(served, paged=False), SINCE) == []


@pytest.mark.parametrize("counts", [True, False])
def test_ties_larger_than_the_only_page_are_a_broken_contract(counts: bool) -> None:  # noqa: FBT001  # pytest's
    served = TimedList([row(number, 5) for number in range(12)], order="ascending", counts=counts)

    with pytest.raises(ContractBroken, match="One instant of it has more rows than a page"):
        read(served, paged=False)
