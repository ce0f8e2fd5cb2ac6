"""Each guard is needed: without it, the tormentor finds a row that is lost, or a promise that is broken otherwise."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.tormentor.api import Lost
from tests.tormentor.course import Course, Machine
from tests.tormentor.shape import CONTRACTS, Scenario, scenarios
from tests.tormentor.weakened import WEAKENED, Weakened

_RUNS = 1000
_RUNS_WITH_ALL = 50


def _finds_something(machine: Machine, weakened: Weakened, runs: int) -> bool:
    """Whether a fixed series of runs breaks a promise."""

    @settings(
        max_examples=runs,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenarios(CONTRACTS[weakened.api], likely=weakened.likely))
    def torment(scenario: Scenario) -> None:
        Course(machine, replace(scenario, **weakened.where)).run()

    try:
        torment()
    except Lost:
        return True
    except BaseExceptionGroup as several:
        return several.subgroup(Lost) is not None
    return False


@pytest.mark.parametrize("weakened", WEAKENED, ids=lambda weakened: weakened.without)
def test_the_tormentor_notices_when_a_guard_is_missing(weakened: Weakened) -> None:
    assert _finds_something(weakened.machine, weakened, _RUNS)


@pytest.mark.parametrize("weakened", WEAKENED, ids=lambda weakened: weakened.without)
def test_with_all_guards_the_same_runs_break_no_promise(weakened: Weakened) -> None:
    assert not _finds_something(Machine(), weakened, _RUNS_WITH_ALL)
