"""One clock for all workers: whatever a machine's own clock says, leases and dues go by the database's."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from tests.fakes import FakeClock
from worker.store.session import Database
from worker.store.shared_clock import LOOK_EVERY, SharedClock, agreed

_AT_MOST = timedelta(seconds=5)
_WRONG = timedelta(minutes=5)


class Steady:
    """A clock that only goes forward."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def turn(self, by: timedelta) -> None:
        self.seconds += by.total_seconds()


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
def own() -> FakeClock:
    return FakeClock(datetime.now(UTC) + _WRONG)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as opened:
        yield opened


@pytest.fixture
def clock(database: Database, own: FakeClock, steady: Steady) -> SharedClock:
    return SharedClock(database, own, steady)


@pytest.fixture
def away() -> Iterator[Engine]:
    """A database that doesn't answer."""
    with closing(Database("postgresql+psycopg://postgres@127.0.0.1:1/none")) as database:
        yield database.engine


def test_it_shows_the_databases_time_however_wrong_this_machines_is(clock: SharedClock) -> None:
    assert abs(clock() - datetime.now(UTC)) < _AT_MOST


def test_between_two_looks_it_goes_on_steadily_whoever_sets_this_machines_clock(
    clock: SharedClock, own: FakeClock, steady: Steady
) -> None:
    before = clock()
    own.turn(hours=3)
    steady.turn(timedelta(seconds=7))
    assert clock() - before == timedelta(seconds=7)


def test_it_looks_again_after_a_while(clock: SharedClock, steady: Steady) -> None:
    clock()
    steady.turn(LOOK_EVERY + timedelta(hours=1))  # as if our steady clock ran fast
    assert abs(clock() - datetime.now(UTC)) < _AT_MOST


def test_while_the_database_is_away_it_goes_on(
    clock: SharedClock, database: Database, away: Engine, steady: Steady
) -> None:
    before = clock()
    database.close()
    database.engine = away
    steady.turn(LOOK_EVERY)
    assert clock() - before == LOOK_EVERY


def test_until_the_database_first_answers_this_machines_clock_holds(
    clock: SharedClock, database: Database, away: Engine, own: FakeClock
) -> None:
    database.engine = away
    assert own() == clock()


def test_that_a_clock_is_wrong_is_logged_once(clock: SharedClock, steady: Steady) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            clock()
            steady.turn(LOOK_EVERY)
    assert ["clock.wrong"] == [line["event"] for line in logged]
    assert 290 < logged[0]["seconds_ahead"] < 310


def test_a_sqlite_file_goes_by_its_machines_clock(own: FakeClock) -> None:
    with closing(Database("sqlite://")) as database:
        assert own is agreed(database, own)
