from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rest.timed import BEGIN, GRAIN, TimedList, row
from worker.errors import ContractBroken
from worker.provider import Page, Window
from worker.rest.windows import Span, windows

HOUR = Window(BEGIN - GRAIN, BEGIN + timedelta(hours=1) + GRAIN)
SECONDS = st.lists(st.floats(0, 3600) | st.integers(1000, 1010), max_size=60)
CHANGES = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40)


def read(served: TimedList, window: Window = HOUR, size: int = 10, *, paged: bool = True) -> list[Page]:
    pages = list(windows(served.windowed(size, paged=paged), window))
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages


@given(seconds=SECONDS, changes=CHANGES, inclusive=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None)
def test_no_row_that_stays_is_lost_even_where_every_request_has_another_order(
    seconds: list[float], changes: Any, *, inclusive: bool, seed: int
) -> None:
    spread = [row(number, second + number / 4) for number, second in enumerate(seconds)]
    served = TimedList(spread, inclusive=inclusive, changes=changes, seed=seed)

    assert served.missed(read(served, size=60), HOUR) == []


@given(
    seconds=SECONDS,
    changes=CHANGES,
    order=st.sampled_from(["ascending", "descending"]),
    cap=st.integers(2, 12),
    counts=st.booleans(),
    open_ends=st.tuples(st.booleans(), st.booleans()),
)
@settings(deadline=None)
def test_no_row_that_stays_is_lost_in_any_order_that_is_kept(
    seconds: list[float], changes: Any, order: str, cap: int, open_ends: tuple[bool, bool], *, counts: bool
) -> None:
    rows = [row(number, second) for number, second in enumerate(seconds)]
    served = TimedList(rows, order=order, cap=cap, counts=counts, changes=changes)
    window = Window(None if open_ends[0] else HOUR.start, None if open_ends[1] else HOUR.end)

    assert served.missed(read(served, window), window) == []


@given(seconds=st.lists(st.none() | st.floats(0, 3600), max_size=40), cap=st.integers(1, 9), counts=st.booleans())
@settings(deadline=None)
def test_rows_that_no_filter_keeps_out_end_the_halving_and_not_the_reading(
    seconds: list[float | None], cap: int, *, counts: bool
) -> None:
    served = TimedList([row(*pair) for pair in enumerate(seconds)], order="ascending", cap=cap, counts=counts)

    assert served.missed(read(served), HOUR) == []


@given(count=st.integers(0, 60), cap=st.integers(2, 12), changes=CHANGES, seed=st.integers(0, 99), counts=st.booleans())
@settings(deadline=None)
def test_windows_that_fit_lose_nothing_even_where_every_request_has_another_order_and_pages_are_small(
    count: int, cap: int, changes: Any, seed: int, *, counts: bool
) -> None:
    spread = [row(number, number * 41.5) for number in range(count)]
    served = TimedList(spread, cap=cap, counts=counts, changes=changes, seed=seed)

    assert served.missed(read(served, size=cap), HOUR) == []


def test_a_filter_that_is_ignored_is_noticed() -> None:
    served = TimedList([row(number, number * 60) for number in range(50)], order="ascending", filters=False)

    window = Window(BEGIN + timedelta(minutes=10), BEGIN + timedelta(minutes=20))
    assert served.missed(read(served, window), window) == []
    assert len(served.asked) < 200


def test_a_window_that_fits_a_page_costs_two_requests() -> None:
    served = TimedList([row(number, number) for number in range(5)])

    read(served)

    assert served.asked == [(HOUR, 0), (HOUR, 4)]


def test_an_empty_window_costs_one_request() -> None:
    served = TimedList([])

    assert [list(page.items) for page in read(served)] == [[]]
    assert served.asked == [(HOUR, 0)]


def test_a_total_says_how_often_to_halve_at_once() -> None:
    served = TimedList([row(number, number * 36) for number in range(100)], order="ascending")

    pages = read(served, size=20)

    assert len(served.asked) < 30
    assert sum(page.repairs for page in pages) == 0


def test_more_rows_in_one_instant_than_a_page_holds_are_paged() -> None:
    served = TimedList([row(number, 1800) for number in range(25)], order="ascending", counts=False)

    assert served.missed(read(served), HOUR) == []


def test_more_rows_in_one_instant_than_the_only_page_holds_are_a_broken_contract() -> None:
    served = TimedList([row(number, 1800) for number in range(25)], order="ascending", counts=False)

    with pytest.raises(ContractBroken, match="One instant of it has more rows than a page"):
        read(served, paged=False)


@given(
    seconds=st.lists(st.integers(0, 3600), max_size=40, unique=True), order=st.sampled_from(["ascending", "shuffled"])
)
@settings(deadline=None)
def test_an_api_with_one_page_alone_is_read_to_the_end_by_time(seconds: list[int], order: str) -> None:
    served = TimedList([row(*pair) for pair in enumerate(seconds)], order=order, counts=False)

    assert served.missed(read(served, size=5, paged=False), HOUR) == []


def test_a_server_that_caps_its_only_page_is_noticed() -> None:
    served = TimedList([row(number, number * 100) for number in range(30)], order="ascending", cap=4, counts=False)

    assert served.missed(read(served, size=10, paged=False), HOUR) == []


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(BEGIN, BEGIN + GRAIN), 0),
        (Span(BEGIN, BEGIN + 2 * GRAIN), 2),
        (Span(None, BEGIN), 2),
        (Span(None, BEGIN, timedelta(days=36_500)), 0),
        (Span(BEGIN, None), 0),
        (Span(BEGIN - GRAIN, None), 2),
        (Span(None, None), 2),
    ],
)
def test_a_span_is_halved_where_it_can_be(span: Span, expected: int) -> None:
    assert len(span.halves(GRAIN, BEGIN)) == expected


def test_an_open_end_is_not_cut_where_nobody_knows_the_time() -> None:
    assert Span(BEGIN, None).halves(GRAIN, None) == []
