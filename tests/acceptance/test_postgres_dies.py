"""PostgreSQL restarts in the midst of things, in order and in a hurry: processes stay, and nothing is lost.

What is sent and answered in that moment may be sent again, with the same id; nothing else is.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from cryptography.fernet import Fernet

from tests.acceptance.processes import COMMAND, Running, Tocsin
from tests.servers import Postgres, Redis, wait_until
from tests.traffic import publishing
from worker.sandbox import PATH, Mix
from worker.sandbox.wire import Answer
from worker.store import schema
from worker.store.session import Database

_ALL_IN_ONE = ((*COMMAND, "run"),)
_MANY = (
    (*COMMAND, "worker", "--", "--concurrency", "2"),
    (*COMMAND, "worker", "--", "--pool", "threads", "--concurrency", "4"),
    (*COMMAND, "beat"),
)
_PER_SECOND = 20
_DOWN_S, _DOWN_AT_MOST_S = 0.5, 10.0
"""Much shorter than the patience with which what was sent is written down."""
_TO_START_S = 2.0
_WITHIN_S = 90.0  # a claim whose answer was lost ends after 45
_SLOW = timedelta(seconds=1)
_IDLE_AT_MOST = "400 milliseconds"
"""A transaction that waits for a provider or a receiver would be idle for `_SLOW`; a busy machine may pause any."""


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """A PostgreSQL of these tests' own. What it answered outlives all but the machine."""
    with Postgres(synchronous_commit="on") as server:
        yield server


@pytest.fixture
def spread(tocsin: Tocsin, redis_server: Redis, mortal: Postgres) -> Tocsin:
    redis_server.flush()
    tocsin.environ |= {"TOCSIN_DATABASE": mortal.create(), "TOCSIN_KEY": Fernet.generate_key().decode()}
    with closing(Database(tocsin.environ["TOCSIN_DATABASE"])) as database:
        schema.migrate(database)
    return tocsin


@pytest.fixture(params=[_ALL_IN_ONE, _MANY], ids=["one process", "many"])
def processes(request: pytest.FixtureRequest, spread: Tocsin, redis_server: Redis) -> Iterator[list[Running]]:
    """Whoever polls and delivers."""
    if request.param is _MANY:
        spread.environ["TOCSIN_BROKER"] = redis_server.url
    with ExitStack() as running:
        yield [running.enter_context(spread.start(*command)) for command in request.param]


def goes_on(tocsin: Tocsin, process: Running) -> None:
    """Something that was published from now on arrives."""
    known = {row.external_id for rows in tocsin.sandbox.published().values() for row in rows}

    def arrived() -> bool:
        told = (one.content["data"]["external_id"] for one in tocsin.sandbox.receiver.received(PATH))
        return any(identity not in known for identity in told)

    process.until(arrived, "it goes on", _WITHIN_S)


def opened(process: Running, server: Postgres) -> bool:
    """Whether it has a connection: one that can't have any as it starts says so, and ends."""
    return any(one.raddr and one.raddr.port == server.port for one in psutil.Process(process.pid).net_connections())


def restarts(server: Postgres, end: Callable[[], None], processes: list[Running]) -> None:
    """It is away at least until somebody has met it: a quiet process may ask nothing for longer than `_DOWN_S`."""
    end()
    with suppress(TimeoutError):
        wait_until(lambda: any("database.trouble" in process.stderr for process in processes), _DOWN_AT_MOST_S)
    Event().wait(_DOWN_S)
    server.start()


def lines(process: Running) -> list[dict[str, Any]]:
    """What it logged; Celery's banner is none."""
    return [orjson.loads(line) for line in process.stderr.splitlines() if line.startswith("{")]


def duplicates(tocsin: Tocsin) -> list[str]:
    ids = [one.webhook_id for one in tocsin.sandbox.receiver.received(PATH) if one.accepted]
    return [identity for identity in set(ids) if ids.count(identity) > 1]


def test_whatever_way_postgresql_restarts_all_processes_go_on_and_nothing_is_lost(
    spread: Tocsin, mortal: Postgres, processes: list[Running]
) -> None:
    sandbox, first = spread.sandbox, processes[0]
    with publishing(spread.sandbox, Mix(), _PER_SECOND):
        goes_on(spread, first)
        first.until(lambda: all(opened(process, mortal) for process in processes), "all are there", _WITHIN_S)
        Event().wait(_TO_START_S)
        for end in (mortal.stop, mortal.abort):
            restarts(mortal, end, processes)
            goes_on(spread, first)
    first.until(lambda: not sandbox.broken_promises(), "everything has arrived", _WITHIN_S)

    for process in processes:
        process.send(signal.SIGTERM)
    assert [0] * len(processes) == [process.ended() for process in processes]
    assert [] == [process.stderr for process in processes if "Traceback" in process.stderr]
    troubles = [line for process in processes for line in lines(process) if line["event"] == "database.trouble"]
    assert 1 <= len(troubles) <= 2 * 4 * len(processes)  # a line each, of a worker's children too
    assert [] == duplicates(spread)


def idle_for_long(url: str, stop: Event, found: list[str]) -> None:
    """Look, as often as may be, for sessions that stand still in the midst of a transaction."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as watching:
        while not stop.wait(0.01):
            found += [
                statement
                for (statement,) in watching.execute(
                    "SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
                    " AND clock_timestamp() - state_change > %s::interval",
                    [_IDLE_AT_MOST],
                )
            ]


@pytest.mark.parametrize("processes", [_ALL_IN_ONE], indirect=True)
def test_no_transaction_is_open_while_a_slow_provider_or_a_slow_receiver_is_waited_for(
    spread: Tocsin, processes: list[Running]
) -> None:
    sandbox, found, stop = spread.sandbox, list[str](), Event()
    for api in sandbox.apis.values():
        api.faults.slow(_SLOW)
    sandbox.receiver.script(PATH, then=Answer(204, after=_SLOW))
    watch = Thread(target=idle_for_long, args=(spread.environ["TOCSIN_DATABASE"], stop, found))
    watch.start()
    try:
        sandbox.publish(30)  # more than an endpoint takes at once
        processes[0].until(lambda: not sandbox.broken_promises(), "everything has arrived", _WITHIN_S)
    finally:
        stop.set()
        watch.join()

    assert [] == found
