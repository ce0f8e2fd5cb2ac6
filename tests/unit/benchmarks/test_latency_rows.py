"""What the benchmark of latency says of messages that never came."""

from math import inf, isinf

import pytest

from benchmarks.latency import Load, Waited, percentiles, rows

LOAD = Load(10, 1)


def held(ours: list[float]) -> list[bool]:
    """Of p50 and p99: whether the bar holds, with ten seconds of that load."""
    return [row.holds for row in rows("embedded", LOAD, 10, Waited(ours, [1.0] * 100, 0.5))]


def test_all_that_came_in_time_hold() -> None:
    assert held([10.0] * 100) == [True, True]


@pytest.mark.parametrize(
    ("lost", "expected"), [(1, [True, True]), (2, [True, False]), (10, [True, False]), (60, [False, False])]
)
def test_what_never_came_is_waited_for_without_end(lost: int, expected: list[bool]) -> None:
    assert held([10.0] * (100 - lost) + [inf] * lost) == expected


def test_a_row_says_how_many_never_came() -> None:
    assert "3 of them never came" in next(rows("embedded", LOAD, 10, Waited([1.0] * 97 + [inf] * 3, [1.0], 0.5))).aside


def test_too_few_messages_hold_nothing() -> None:
    assert held([10.0] * 49) == held([]) == [False, False]


def test_a_percentile_is_the_wait_that_so_many_did_not_exceed() -> None:
    assert percentiles([float(number) for number in range(1000, 0, -1)]) == (500.0, 990.0)
    assert percentiles([1.0, 2.0, inf]) == (2.0, inf)
    assert all(map(isinf, percentiles([])))
