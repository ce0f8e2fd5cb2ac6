"""Connections to PostgreSQL: what each is told, how many there are, what becomes of dead ones and of forks."""

import multiprocessing
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.fakes import AT
from tests.servers import LOOPBACK, Postgres, free_port
from worker.errors import ConfigurationError
from worker.store import heartbeats, schema
from worker.store.postgresql import POOL_MORE, POOL_SIZE, back, mark
from worker.store.session import PASSING, Database, reason
from worker.store.shared_clock import SharedClock
from worker.store.tables import Heartbeat

_SETTINGS = {
    "application_name": "tocsin",
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": "30s",
    "plan_cache_mode": "force_custom_plan",
    "random_page_cost": "1.1",
    "statement_timeout": "2min",
    "TimeZone": "UTC",
}
_BACKEND = text("SELECT pg_backend_pid()")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as opened:
        yield opened


def shown(database: Database, name: str) -> str:
    with database.reading() as session:
        return str(session.execute(text(f'SHOW "{name}"')).scalar())


def backend(database: Database) -> int:
    with database.reading() as session:
        return int(session.execute(_BACKEND).scalar_one())


def cut(database: Database) -> None:
    """Every other connection to this database ends."""
    with database.transaction() as session:
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
        session.execute(text(f"{others} AND pid <> pg_backend_pid()"))


def prepared(database: Database) -> int:
    """Statements that the connection in use keeps, of one that is asked for again and again."""
    for _ in range(20):
        backend(database)
    with database.reading() as session:
        said = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%pg_backend_pid%'")
        return int(session.execute(said).scalar_one())


@pytest.mark.parametrize(("name", "value"), _SETTINGS.items())
def test_each_connection_is_told_its_limits(database: Database, name: str, value: str) -> None:
    assert value == shown(database, name)


def test_what_the_address_says_wins(postgres_url: str) -> None:
    asked = "?application_name=mine&options=-c%20lock_timeout%3D7s&keepalives_idle=11"
    with closing(Database(postgres_url + asked)) as database:
        assert ["mine", "7s", "2min"] == [
            shown(database, name) for name in ("application_name", "lock_timeout", "statement_timeout")
        ]
        assert 11 == option(database, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


def option(database: Database, level: int, name: int) -> int:
    with database.reading() as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        with socket.socket(fileno=socket.dup(connection.fileno())) as same:
            return same.getsockopt(level, name)


@pytest.mark.parametrize(
    ("level", "name", "value"),
    [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
    ],
)
def test_the_system_notices_that_the_other_end_is_gone(database: Database, level: int, name: int, value: int) -> None:
    assert value == option(database, level, name)


def test_statements_that_are_used_often_are_kept_prepared(database: Database) -> None:
    assert 1 == prepared(database)


def test_what_a_reader_changes_of_its_rows_is_not_written(database: Database) -> None:
    schema.migrate(database)
    with database.transaction() as session:
        heartbeats.record(session, "sweep", AT)
    with database.reading() as session:
        session.exec(select(Heartbeat)).one().at = AT + timedelta(days=1)
    with database.reading() as session:
        assert AT == heartbeats.last(session, "sweep")


def test_to_look_at_the_databases_clock_costs_none_of_what_is_kept(database: Database) -> None:
    kept = prepared(database)
    assert SharedClock(database, lambda: AT)() > AT
    with database.reading() as session:
        assert int(session.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()) >= kept > 0


def test_none_is_kept_where_the_address_says_so(postgres_url: str) -> None:
    with closing(Database(postgres_url + "?prepare_threshold=none")) as database:
        assert 0 == prepared(database)


@pytest.mark.parametrize("threshold", ["0", "1", "none"])
def test_whatever_it_is_a_page_is_marked_and_gone_back_to(postgres_url: str, threshold: str) -> None:
    with closing(Database(f"{postgres_url}?prepare_threshold={threshold}")) as database:
        for _ in range(3):
            with database.transaction() as session:
                mark(session.connection())
                session.execute(text("CREATE TABLE other (id int)"))
                back(session.connection())
                assert session.execute(text("SELECT to_regclass('other')")).scalar_one() is None


@pytest.mark.parametrize("threshold", ["soon", "-1", "1&prepare_threshold=2"])
def test_one_that_is_none_is_refused(postgres_url: str, threshold: str) -> None:
    with pytest.raises(ConfigurationError, match="write a number, or none"):
        Database(f"{postgres_url}?prepare_threshold={threshold}")


def test_a_process_has_so_many_connections_and_no_more_and_who_is_over_waits_for_his_turn(database: Database) -> None:
    """More threads than connections, each of which holds one until as many as there may be are held."""
    most = POOL_SIZE + POOL_MORE
    together = Barrier(most)

    def use(number: int) -> int:
        with database.reading() as session:
            pid = int(session.execute(_BACKEND).scalar_one())
            if number < most:
                together.wait(60)
            return pid

    with ThreadPoolExecutor(most + 5) as threads:
        pids = set(threads.map(use, range(most + 5)))
    assert most == len(pids)


def test_a_connection_that_died_in_the_pool_is_replaced_before_it_is_used(
    database: Database, postgres_url: str
) -> None:
    first = backend(database)
    with closing(Database(postgres_url)) as another:
        cut(another)
    assert first != backend(database)


def test_a_connection_that_dies_in_use_is_one_line_and_takes_nothing_with_it(
    database: Database, postgres_url: str
) -> None:
    with closing(Database(postgres_url)) as another, ExitStack() as failing:
        died = failing.enter_context(pytest.raises(PASSING))
        with database.transaction() as session:
            session.execute(text("CREATE TABLE half (done integer)"))
            cut(another)
            session.execute(text("INSERT INTO half VALUES (1)"))
    assert "terminating connection due to administrator command" == reason(died.value)
    with database.reading() as session:
        assert session.execute(text("SELECT to_regclass('half')")).scalar() is None


def test_a_primary_that_became_a_stand_in_is_left(database: Database) -> None:
    first = backend(database)
    with ExitStack() as failing:
        failing.enter_context(pytest.raises(PASSING, match="read-only transaction"))
        session = failing.enter_context(database.transaction())
        session.execute(text("SET TRANSACTION READ ONLY"))
        session.execute(text("CREATE TABLE anything (at_all integer)"))
    assert first != backend(database)


def test_of_several_hosts_the_one_that_takes_writes_is_used(postgres: Postgres, postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    hosts = f"host={LOOPBACK}:{free_port()}&host={LOOPBACK}:{postgres.port}"
    with closing(Database(f"postgresql+psycopg://postgres@/{name}?{hosts}")) as database:
        assert backend(database)
    with closing(Database(f"{postgres_url}?target_session_attrs=standby")) as database, pytest.raises(OperationalError):
        backend(database)


def test_a_forked_child_has_connections_of_its_own_and_leaves_its_parents_usable(database: Database) -> None:
    before, forked = backend(database), multiprocessing.get_context("fork")
    receiving, sending = forked.Pipe(duplex=False)

    def child() -> None:
        database.forget()
        sending.send(backend(database))
        database.close()

    process = forked.Process(target=child)
    process.start()
    assert receiving.poll(60)
    assert before != receiving.recv()
    process.join(60)
    receiving.close()
    sending.close()
    assert (0, before) == (process.exitcode, backend(database))


def test_whoever_stands_still_in_a_transaction_loses_it_and_others_go_on(postgres_url: str) -> None:
    impatient = f"{postgres_url}?options=-c%20idle_in_transaction_session_timeout%3D200ms"
    with closing(Database(postgres_url)) as database, closing(Database(impatient)) as stopped:
        with database.transaction() as session:
            session.execute(text("CREATE TABLE row AS SELECT 1 AS id"))
        with ExitStack() as failing:
            failing.enter_context(pytest.raises(PASSING))
            holding = failing.enter_context(stopped.transaction())
            holding.execute(text("UPDATE row SET id = 2"))
            with database.transaction() as session:
                session.execute(text("UPDATE row SET id = 3"))
            holding.execute(text("SELECT 1"))
