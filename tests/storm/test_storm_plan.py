"""The plan of a storm: repeatable, and all that the storm promises is in it."""

from itertools import pairwise

import pytest

from tests.storm.plan import BEATS, MOVED, WORKERS, Deed, Weather, plan

SEEDS = range(20)
LONG, SHORT = Weather(), Weather(seconds=15.0, lease_s=3.0)


def test_the_same_seed_plans_the_same_storm_and_another_another() -> None:
    assert plan(7, LONG) == plan(7, LONG)
    assert plan(7, LONG) != plan(8, LONG)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_a_long_storm_everything_strikes(seed: int) -> None:
    assert set(Deed) - {Deed.KILL_PARENT} <= {blow.deed for blow in plan(seed, LONG)}  # of the kills, it is the rarest
    assert {*WORKERS, *BEATS} <= {blow.whom for blow in plan(seed, LONG)}


def test_a_parent_is_killed_alone_now_and_then() -> None:
    assert sum(blow.deed is Deed.KILL_PARENT for seed in SEEDS for blow in plan(seed, LONG)) > len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_process_is_killed_every_second_or_two(seed: int) -> None:
    kills = [blow.at_s for blow in plan(seed, LONG) if blow.deed in {Deed.KILL, Deed.KILL_PARENT, Deed.KILL_CHILD}]
    assert all(0.99 <= later - earlier <= 2.01 for earlier, later in pairwise([0.0, *kills]))
    assert LONG.seconds - kills[-1] <= 2.01


@pytest.mark.parametrize("weather", [LONG, SHORT, Weather(100.0, None)])
def test_who_is_stopped_is_stopped_beyond_its_lease_and_not_killed_meanwhile(weather: Weather) -> None:
    for seed in SEEDS:
        blows = plan(seed, weather)
        stops = [blow for blow in blows if blow.deed is Deed.STOP]
        assert stops
        for stop in stops:
            assert stop.lasts_s > (weather.lease_s or 60.0)
            assert not [
                blow for blow in blows if blow.whom == stop.whom and blow.deed not in {Deed.STOP, Deed.CLOCK}
                and stop.at_s <= blow.at_s <= stop.until_s
            ]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clock_is_moved_by_five_minutes_and_only_one_workers(seed: int) -> None:
    moved = [blow for blow in plan(seed, LONG) if blow.deed is Deed.CLOCK]
    assert {MOVED} == {blow.whom for blow in moved}
    assert {300} == {abs(blow.how) for blow in moved}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_thing_never_strikes_while_it_is_still_felt_and_all_is_over_when_the_storm_is(seed: int) -> None:
    for deed in set(Deed):
        blows = [blow for blow in plan(seed, SHORT) if blow.deed is deed]
        assert all(earlier.until_s <= later.at_s for earlier, later in pairwise(blows))
        assert all(blow.until_s <= SHORT.seconds + 0.01 for blow in blows)


def test_a_weather_may_hold_but_a_few_deeds() -> None:
    assert {Deed.KILL} == {blow.deed for blow in plan(1, Weather(deeds=frozenset({Deed.KILL})))}
