"""The guard against regressions guards: what is slower is told, and so is what was not measured."""

from collections.abc import Callable
from math import inf, nan

import pytest

from benchmarks.quick import EXPECTED, MEASURED, figures, guarded, too_slow
from benchmarks.row import Row

WAS = {("deliver", "sqlite"): 2.0, ("deliver", "postgresql"): 3.0}


def rows(sqlite: float, postgresql: float = 3.0) -> list[Row]:
    """One measurement."""
    ratios = {"sqlite": sqlite, "postgresql": postgresql}
    return [Row("deliver", case, ratio, 1, "s", ratio, "", holds=True) for case, ratio in ratios.items()]


def measuring(*each: list[Row]) -> Callable[[], list[Row]]:
    """One measurement after another; more of them would be too many."""
    left = list(each)
    return lambda: left.pop(0)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 2.6])
def test_up_to_30_percent_more_is_not_told(ratio: float) -> None:
    assert too_slow(rows(ratio), WAS) == []


@pytest.mark.parametrize("ratio", [2.61, 3.0, inf, nan])
def test_more_than_that_is_told(ratio: float) -> None:
    assert too_slow(rows(ratio), WAS) == [f"deliver, sqlite: ×{ratio:.2f}, and it was ×2.00"]


def test_what_was_not_measured_is_told() -> None:
    assert too_slow([], WAS) == [f"deliver, {case}: it was not measured" for case in ("sqlite", "postgresql")]
    assert too_slow(rows(2)[1:], WAS) == ["deliver, sqlite: it was not measured"]


def test_a_case_that_nothing_is_known_of_is_let_pass() -> None:
    assert too_slow(rows(9), {("deliver", "postgresql"): 3.0}) == []


def test_of_several_measurements_the_best_counts_for_each_row() -> None:
    assert guarded(measuring(rows(3, 3), rows(2, 9)), WAS) == []
    assert guarded(measuring(rows(3, 9), rows(2, 9), rows(9, 3)), WAS) == []


def test_what_is_slow_three_times_is_told() -> None:
    assert guarded(measuring(rows(3), rows(2.9), rows(9)), WAS) == ["deliver, sqlite: ×2.90, and it was ×2.00"]


def test_what_is_quick_is_measured_once() -> None:
    assert guarded(measuring(rows(2)), WAS) == []


def test_what_is_never_measured_is_told_after_three_times() -> None:
    assert guarded(measuring([], [], []), {("start", "help"): 3.0}) == ["start, help: it was not measured"]


def test_the_table_to_be_put_there_has_medians_of_three() -> None:
    assert figures({"deliver": measuring(rows(2), rows(9), rows(3))}) == [
        '    ("deliver", "sqlite"): 3.00,',
        '    ("deliver", "postgresql"): 3.00,',
    ]


def test_each_benchmark_has_a_ratio_to_keep_to() -> None:
    assert {name for name, _ in EXPECTED} == set(MEASURED)
