"""What a look finds: at real servers, at servers that are away, at servers that say nothing."""

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text

from tests.fakes import AT, FakeClock
from tests.servers import LOOPBACK, Redis, free_port
from worker.health import FRESH_FOR, Sign, fresh, look, told
from worker.settings import Places
from worker.store import heartbeats, schema
from worker.store.session import Database

SECOND = timedelta(seconds=1)
MEMORY = "memory://"


def bad(places: Places, patience: timedelta = 4 * SECOND) -> dict[str, str]:
    """Subject → text of what is not well."""
    return {sign.subject: sign.text for sign in look(places, FakeClock(), patience) if not sign.good}


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def swept(database: Database) -> None:
    with database.transaction() as session:
        heartbeats.record(session, heartbeats.SWEEP, AT - 3 * SECOND)
        heartbeats.record(session, heartbeats.TICK, AT - 5 * SECOND)


@pytest.mark.usefixtures("swept")
def test_all_is_well_where_the_servers_answer_and_a_sweep_was_just_made(database_url: str, redis_server: Redis) -> None:
    assert look(Places(database_url, redis_server.url), FakeClock()) == [
        Sign("database", good=True, text=f"schema {schema.HEAD}"),
        Sign("broker", good=True, text="it takes tasks"),
        Sign("sweep", good=True, text="3 s ago"),
        Sign("tick", good=True, text="5 s ago"),
    ]


@pytest.mark.usefixtures("swept")
def test_one_process_needs_no_broker(database_url: str) -> None:
    assert bad(Places(database_url, MEMORY)) == {}


def test_without_any_sweep_so_far_it_is_not_well(database_url: str) -> None:
    assert bad(Places(database_url, MEMORY)) == {
        "sweep": "none yet: is a worker running, and a beat?",
        "tick": "none yet: is a worker that polls running, and a beat?",
    }


@pytest.mark.usefixtures("swept")
def test_where_deliveries_are_looked_for_and_sources_are_not_it_is_not_well(
    database: Database, database_url: str
) -> None:
    with database.transaction() as session:
        heartbeats.record(session, heartbeats.TICK, AT - 2 * FRESH_FOR)
    assert bad(Places(database_url, MEMORY)) == {
        "tick": "the last 120 s ago: is a worker that polls running, and a beat?"
    }


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(0), Sign("sweep", good=True, text="0 s ago")),
        (FRESH_FOR, Sign("sweep", good=True, text="60 s ago")),
        (FRESH_FOR + SECOND, Sign("sweep", good=False, text="the last 61 s ago: is a worker running, and a beat?")),
        (-2 * SECOND, Sign("sweep", good=True, text="0 s ago")),
        (
            -FRESH_FOR - SECOND,
            Sign("sweep", good=False, text="61 s ahead of our clock: set the clocks of all machines"),
        ),
    ],
)
def test_a_look_is_fresh_for_a_minute(ago: timedelta, expected: Sign) -> None:
    assert fresh("sweep", AT - ago, AT) == expected


def test_a_schema_of_before_names_the_command(database: Database, database_url: str) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE tocsin_schema SET version_num = '0001'"))
    found = bad(Places(database_url, MEMORY))
    assert found["database"] == f"its schema is 0001, this version needs {schema.HEAD}: run tocsin migrate"


def test_a_database_without_tables_names_the_command(postgres_url: str) -> None:
    assert bad(Places(postgres_url, MEMORY))["database"] == "it has no tables yet: run tocsin migrate"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "tocsin.db"
    assert bad(Places(f"sqlite:///{file}", MEMORY))["database"].startswith("there is no such file yet")
    assert not file.exists()


def test_a_heartbeat_that_cannot_be_read_is_the_databases_fault(database: Database, database_url: str) -> None:
    with database.transaction() as session:
        session.execute(text("DROP TABLE heartbeat"))
    assert bad(Places(database_url, MEMORY))["database"].startswith("it can't be used: ")


def test_servers_that_are_away_are_told_and_no_password_with_it() -> None:
    port = free_port()
    places = Places(f"postgresql+psycopg://me:hush@{LOOPBACK}:{port}/db", f"redis://:hush@{LOOPBACK}:{port}/0")
    found = bad(places)
    assert found["database"].startswith("it can't be used: ")
    assert found["broker"] == "it can't be used: ConnectionError"
    assert found["sweep"] == found["tick"] == "not known"
    assert "hush" not in str(found)


def test_servers_that_say_nothing_are_not_waited_for(silent: int) -> None:
    places = Places(f"postgresql+psycopg://me@{LOOPBACK}:{silent}/db", f"redis://{LOOPBACK}:{silent}/0")
    began = monotonic()
    found = bad(places, SECOND)
    assert monotonic() - began < 5
    assert found["database"] == found["sweep"] == found["tick"] == "no answer within 1 s"
    assert set(found) == {"database", "broker", "sweep", "tick"}


def test_an_address_that_no_client_understands_is_told() -> None:
    found = bad(Places("sqlite:////nowhere/at.all", "redis://r/0?socket_timeout=soon"))
    assert found["broker"] == "it can't be used: ValueError"


def test_it_is_told_as_json_with_a_word_for_all() -> None:
    well, ill = Sign("broker", good=True, text="it takes tasks"), Sign("sweep", good=False, text="none yet")
    assert told([well]) == {"status": "ok", "broker": {"ok": True, "text": "it takes tasks"}}
    assert told([well, ill])["status"] == "failing"


def test_a_pulse_is_written_once_in_ten_seconds_and_when_the_clock_was_set_back(database: Database) -> None:
    pulse, clock = heartbeats.Pulse(database, "sweep"), FakeClock()
    written = []
    for seconds in (0, 5, 5, -60, 9, 1):
        pulse.beat(clock.turn(seconds=seconds))
        with database.reading() as session:
            written.append(heartbeats.last(session, "sweep"))
    assert [at - AT if at else None for at in written] == [SECOND * n for n in (0, 0, 10, -50, -50, -40)]


def test_the_pulse_of_another_process_is_written_over(database: Database) -> None:
    for seconds in (3, 1):
        heartbeats.Pulse(database, "sweep").beat(AT + seconds * SECOND)
    with closing(database), database.reading() as session:
        assert heartbeats.last(session, "sweep") == AT + SECOND
