"""The scheduler of one process: which ticks are worth sending."""

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from schedules.sparing import SIGN_EVERY, Need
from tests.fakes import AT
from tests.integration.schedule.town import PROVIDER, names, town
from worker import health
from worker.settings import Places
from worker.store import endpoints, roster, schema, sources
from worker.store.roster import Configured
from worker.store.session import Database
from worker.store.tables import EndpointRow
from worker.tasks import PRUNE, SWEEP, TICK

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CONFIGURED = ("a", "erp")


@pytest.fixture
def need() -> Need:
    """Each was just sent."""
    need = Need()
    with closing(Database("sqlite://")) as nothing:
        assert [need.of(task, (), nothing, AT) for task in (TICK, SWEEP)] == [True, True]
    return need


def due_source(database: Database, at: datetime) -> None:
    source = Configured(name="a", provider="p", start_at=None, schedule="every 5m", moment=at)
    with database.transaction() as session:
        roster.register(session, [source], at)


def due_delivery(database: Database, at: datetime) -> None:
    with database.transaction() as session:
        endpoints.register(session, "erp", AT)
        session.execute(update(EndpointRow).where(col(EndpointRow.name) == "erp").values(due_at=at))


def sent(need: Need, task: str, database: Database, for_s: int) -> list[int]:
    """The seconds at which it is sent, of those at which it might be."""
    return [at for at in range(1, for_s + 1) if need.of(task, CONFIGURED, database, AT + at * SECOND)]


def test_nothing_is_sent_where_nothing_is_due_but_signs_of_life(need: Need, database: Database) -> None:
    due_source(database, AT + MINUTE)
    due_delivery(database, AT + MINUTE)
    assert ([20, 40], [20, 40]) == (sent(need, TICK, database, 59), sent(need, SWEEP, database, 59))


def test_of_what_is_due_no_further_sign_is_needed(need: Need, database: Database) -> None:
    due_source(database, AT + 15 * SECOND)
    assert sent(need, TICK, database, 15) == [15]
    with database.transaction() as session:
        sources.pause(session, "a", "by hand", AT)
    assert sent(need, TICK, database, 59) == [35, 55]


def test_each_is_sent_from_the_moment_at_which_something_is_due(need: Need, database: Database) -> None:
    due_source(database, AT + 3 * SECOND)
    due_delivery(database, AT + 5 * SECOND)
    asked = [AT + n * SECOND for n in range(1, 7)]
    assert [need.of(TICK, CONFIGURED, database, at) for at in asked] == [False, False, True, True, True, True]
    assert [need.of(SWEEP, CONFIGURED, database, at) for at in asked] == [False, False, False, False, True, True]


def test_nothing_is_sent_for_what_is_no_longer_configured(need: Need, database: Database) -> None:
    due_source(database, AT)
    due_delivery(database, AT)
    now = AT + SECOND
    assert [need.of(TICK, ["b"], database, now), need.of(SWEEP, ["crm"], database, now)] == [False, False]
    assert [need.of(TICK, ["b", "a"], database, now), need.of(SWEEP, ["crm", "erp"], database, now)] == [True, True]


def test_no_tick_is_sent_for_a_source_that_is_paused(need: Need, database: Database) -> None:
    due_source(database, AT)
    with database.transaction() as session:
        sources.pause(session, "a", "by hand", AT)
    assert not need.of(TICK, CONFIGURED, database, AT + SECOND)


def test_a_source_that_was_sent_in_vain_is_looked_at_still(need: Need, database: Database) -> None:
    due_source(database, AT)
    with database.transaction() as session:
        sources.queue_due(session, ["a"], AT)
    assert need.of(TICK, CONFIGURED, database, AT + SECOND)


@pytest.mark.parametrize("task", [TICK, SWEEP])
def test_each_is_sent_every_so_often_for_health_to_see(need: Need, database: Database, task: str) -> None:
    asked = [AT + n * SIGN_EVERY / 2 for n in range(1, 7)]
    assert [need.of(task, CONFIGURED, database, at) for at in asked] == [False, True] * 3


@pytest.mark.parametrize("task", [TICK, SWEEP])
def test_a_clock_that_was_set_back_silences_none(need: Need, database: Database, task: str) -> None:
    asked = [AT - MINUTE, AT - MINUTE + SECOND, AT - MINUTE + SIGN_EVERY]
    assert [need.of(task, CONFIGURED, database, at) for at in asked] == [True, False, True]


def test_a_house_where_nothing_is_due_for_long_is_well(tmp_path: Path) -> None:
    with town(tmp_path, f"sqlite:///{tmp_path}/quiet.db", 3) as quiet:
        quiet.put(dict.fromkeys(names(3), AT + timedelta(hours=1)))
        need, signs = Need(), set[bool]()
        for _ in range(300):
            if need.of(TICK, quiet.house.settings.sources, quiet.house.database, quiet.clock()):
                assert quiet.house.due_sources(PROVIDER) == []
            if need.of(SWEEP, quiet.house.settings.endpoints, quiet.house.database, quiet.clock()):
                assert quiet.house.deliver() == 0
            places = Places(database=quiet.house.settings.database, broker="memory://")
            signs |= {sign.good for sign in health.look(places, quiet.clock)}
            quiet.clock.turn(seconds=1)
    assert signs == {True}


def test_what_is_no_tick_is_always_sent(need: Need, database: Database) -> None:
    assert need.of(PRUNE, (), database, AT)


def test_in_trouble_with_the_database_ticks_are_sent_as_ever(need: Need, tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/empty.db")) as empty:
        assert schema.found(empty) is None
        assert [need.of(task, CONFIGURED, empty, AT + SECOND) for task in (TICK, SWEEP)] == [True, True]
