"""Ten thousand sources on one process with `every = "5m"` (issue 3)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes import AT
from tests.integration.schedule.town import PROVIDER, SECOND, Town, instructions, names, plans, spoken, town
from tests.servers import Postgres

MANY = 10_000
FIVE_MINUTES = timedelta(minutes=5)
MEAN = MANY * SECOND / FIVE_MINUTES


@pytest.fixture
def big(tmp_path: Path, database_url: str) -> Iterator[Town]:
    with town(tmp_path, database_url, MANY) as made:
        yield made


@contextmanager
def _ticked(folder: Path, url: str, count: int) -> Iterator[Town]:
    with town(folder, url, count) as made:
        made.only_these_are_due(10)
        yield made


def _polls(big: Town) -> Counter[datetime]:
    return Counter(at.replace(microsecond=0) for polls in big.polled.values() for at in polls)


def test_the_polls_of_ten_thousand_sources_are_spread_evenly(big: Town) -> None:
    big.wait_for_their_moments()
    big.goes_on(FIVE_MINUTES + SECOND, polls_a_tick=1000)
    assert {len(polls) for polls in big.polled.values()} <= {1, 2}
    assert (len(big.polled), len(_polls(big)) >= 299) == (MANY, True)
    assert max(_polls(big).values()) <= 3 * MEAN


def test_a_first_start_polls_them_as_workers_allow_and_evenly_ever_after(big: Town) -> None:
    workers = 150
    big.goes_on(timedelta(seconds=110), workers)
    first = Counter(polls[0] for polls in big.polled.values())
    assert (first.total(), max(first.values())) == (MANY, workers)
    big.polled.clear()
    big.goes_on(timedelta(minutes=1), workers)
    assert len(_polls(big)) == 60
    assert max(_polls(big).values()) <= 3 * MEAN


def test_no_tick_sends_more_than_a_thousand_sources_and_the_next_sends_others(big: Town) -> None:
    first, second = big.house.due_sources(PROVIDER), big.house.due_sources(PROVIDER)
    assert (len(first), len(second), len({*first, *second})) == (1000, 1000, 2000)


def test_those_that_wait_longest_are_sent_first(big: Town) -> None:
    big.put({"s77": AT - timedelta(minutes=1), "s78": AT - timedelta(minutes=2)})
    assert {"s77", "s78"} <= set(big.house.due_sources(PROVIDER))


def test_ten_thousand_sources_are_registered_in_a_handful_of_statements(big: Town) -> None:
    with spoken(big.house.database) as said:
        big.house.move_in()
    assert len(said) < 10


def test_a_look_that_finds_nothing_writes_nothing(big: Town) -> None:
    big.put(dict.fromkeys(names(MANY), AT + SECOND))
    big.house.due_sources(PROVIDER)  # which writes that somebody looks, as one in ten seconds does
    with spoken(big.house.database) as said:
        assert big.house.due_sources(PROVIDER) == []
    assert not [statement for statement, _ in said if not statement.startswith(("SELECT", "BEGIN"))]


def test_a_ticks_cost_does_not_grow_with_the_sources_on_sqlite(tmp_path: Path) -> None:
    costs = []
    for count in (10, MANY):
        with (
            _ticked(tmp_path, f"sqlite:///{tmp_path}/{count}.db", count) as one,
            instructions(one.house.database) as ran,
        ):
            assert len(one.house.due_sources(PROVIDER)) == 10
            costs.append(sum(ran))
    assert 0 < costs[1] <= 1.2 * costs[0]


def test_a_ticks_cost_does_not_grow_with_the_sources_on_postgresql(
    tmp_path: Path, postgres: Postgres, migrated_template: str
) -> None:
    url = postgres.create(migrated_template)
    with _ticked(tmp_path, url, MANY) as big:
        with spoken(big.house.database) as said:
            assert len(big.house.due_sources(PROVIDER)) == 10
        told = plans(big.house.database, [(one, values) for one, values in said if "source" in one])
    postgres.drop(url)
    assert (len(told), [plan for plan in told if "Seq Scan" in plan]) == (3, [])
