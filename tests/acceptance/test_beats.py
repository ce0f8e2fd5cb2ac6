"""Any number of workers and beats: nothing is done twice because there are two, and nobody notices when one dies."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from time import monotonic

import pytest
from sqlmodel import func, select

from tests.acceptance.processes import COMMAND, Running, Tocsin
from tests.servers import Redis
from worker.store.session import Database
from worker.store.tables import PollRun

_WORKER, _BEAT = (*COMMAND, "worker", "--", "--concurrency", "2"), (*COMMAND, "beat")
_WITHIN_S = 60.0
_ROWS = 12


@pytest.fixture
def spread(tocsin: Tocsin, redis_server: Redis, database_url: str) -> Tocsin:
    tocsin.spread(redis_server, database_url)
    return tocsin


@pytest.fixture
def processes(spread: Tocsin) -> Iterator[list[Running]]:
    """Two workers, two beats."""
    with ExitStack() as running:
        yield [running.enter_context(spread.start(*command)) for command in (_WORKER, _WORKER, _BEAT, _BEAT)]


def everything_arrives(tocsin: Tocsin, worker: Running) -> None:
    worker.until(lambda: not tocsin.sandbox.broken_promises(), "everything has arrived", _WITHIN_S)


def polls(url: str) -> int:
    with closing(Database(url)) as database, database.reading() as session:
        return session.exec(select(func.count()).select_from(PollRun)).one()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_beats_make_nothing_twice_and_one_that_is_killed_is_not_noticed(
    spread: Tocsin, processes: list[Running], database_url: str
) -> None:
    sandbox, (worker, other, beat, survivor) = spread.sandbox, processes
    begun_at = monotonic()
    sandbox.publish(_ROWS)
    everything_arrives(spread, worker)

    beat.send(signal.SIGKILL)
    beat.ended()
    for _ in range(2):
        sandbox.publish(_ROWS)
        sandbox.change(_ROWS // 2)
        everything_arrives(spread, worker)

    assert [0, 0, 0] == [process.stopped() for process in (survivor, other, worker)]
    moments = int(monotonic() - begun_at) + 2
    assert polls(database_url) <= moments * len(sandbox.apis)  # each source has a moment every second
    assert 0 == sandbox.tally().duplicates
    assert 3 * _ROWS == sandbox.tally().rows == sandbox.tally().notifications
