"""When pruning begins: once a day, by one at a time, and again soon after trouble."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from schedules.timetable import timetable
from tests.fakes import AT, FakeClock
from worker import operations
from worker.store import heartbeats
from worker.wiring import House, read_settings

_HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def house(database_url: str, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    environ = {"TOCSIN_DATABASE": database_url, "TOCSIN_KEY": Fernet.generate_key().decode()}
    (tmp_path / "tocsin.toml").touch()
    with closing(House(read_settings(tmp_path / "tocsin.toml", environ), clock=clock)) as opened:
        yield opened


def begins(house: House, *, goes_on: bool = False) -> bool:
    return operations.may_prune(house, goes_on=goes_on)


def hours_that_prune(house: House, clock: FakeClock, hours: int) -> list[int]:
    """Of so many ticks of the schedule, those that pruned."""
    found = []
    for hour in range(hours):
        if begins(house):
            clock.turn(minutes=5)
            assert operations.prune(house).finished
            clock.turn(minutes=-5)
            found.append(hour)
        clock.turn(hours=1)
    return found


def test_beat_and_run_look_every_hour_whether_it_is_time() -> None:
    assert _HOUR == timetable({})["prune"]["schedule"].run_every


def test_it_is_done_once_a_day_at_the_same_hour(house: House, clock: FakeClock) -> None:
    assert [0, 24, 48] == hours_that_prune(house, clock, 50)


def test_a_day_on_which_nobody_looked_is_caught_up_with(house: House, clock: FakeClock) -> None:
    assert [0] == hours_that_prune(house, clock, 2)
    clock.turn(days=3)
    assert [0] == hours_that_prune(house, clock, 2)


def test_of_two_beats_ticks_one_prunes(house: House) -> None:
    assert [True, False] == [begins(house), begins(house)]


def test_whoever_has_more_to_prune_goes_on_and_nobody_begins_beside_it(house: House, clock: FakeClock) -> None:
    assert begins(house)
    clock.turn(minutes=9)
    assert begins(house, goes_on=True)
    clock.turn(minutes=9)
    assert not begins(house)


def test_what_was_not_finished_is_begun_again_after_ten_minutes(house: House, clock: FakeClock) -> None:
    assert begins(house)
    clock.turn(minutes=11)
    assert begins(house)


def test_an_operators_own_pruning_counts_too(house: House) -> None:
    assert operations.prune(house).finished
    assert not begins(house)


def test_an_end_far_in_our_future_is_no_reason_to_wait_for_it(house: House) -> None:
    with house.database.transaction() as session:
        heartbeats.record(session, heartbeats.PRUNED, AT + timedelta(days=365))
    assert begins(house)
