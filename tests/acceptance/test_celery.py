"""Any number of workers and beats on a real Redis (CELERY.md)."""

import sys
from collections.abc import Iterator

import pytest

from tests.acceptance.processes import Running, Tocsin
from tests.servers import Redis

_CELERY = (sys.executable, "-m", "celery", "-A")
_WORKER = (*_CELERY, "worker.app", "worker", "--concurrency=2", "--without-gossip", "--without-mingle")
_WITHIN_S = 15.0
"""A poll that was sent counts as under way for ten seconds; the work itself takes a few."""
_BEAT = (*_CELERY, "schedules.beat", "beat")


@pytest.fixture
def spread(tocsin: Tocsin, redis_server: Redis, database_url: str) -> Tocsin:
    """Tocsin on a Redis that holds nothing yet."""
    tocsin.spread(redis_server, database_url)
    return tocsin


@pytest.fixture
def worker(spread: Tocsin) -> Iterator[Running]:
    with spread.start(*_WORKER) as process:
        yield process


@pytest.fixture
def beat(spread: Tocsin) -> Iterator[Running]:
    with spread.start(*_BEAT) as process:
        yield process


def everything_arrives(tocsin: Tocsin, worker: Running) -> None:
    worker.until(lambda: not tocsin.sandbox.broken_promises(), "everything has arrived", _WITHIN_S)


def test_workers_and_beats_on_redis_bring_everything_also_when_redis_forgets(
    spread: Tocsin, worker: Running, beat: Running, redis_server: Redis
) -> None:
    sandbox = spread.sandbox
    sandbox.publish(12)
    everything_arrives(spread, worker)

    for _ in range(2):
        redis_server.flush()
        sandbox.publish(3)
        sandbox.change(3)
        everything_arrives(spread, worker)

    assert beat.stopped() == 0
    assert worker.stopped() == 0
    assert sandbox.tally().duplicates == 0
    assert sandbox.tally().rows == sandbox.tally().notifications == 12 + 2 * 3


@pytest.mark.parametrize("command", [_WORKER, _BEAT], ids=["worker", "beat"])
def test_neither_starts_on_the_broker_of_one_process(tocsin: Tocsin, command: tuple[str, ...]) -> None:
    with tocsin.start(*command) as process:
        assert process.ended() == 2
        assert "use `tocsin run`" in process.stderr


@pytest.mark.parametrize("command", [_WORKER, _BEAT], ids=["worker", "beat"])
def test_neither_starts_on_a_postgresql_that_was_not_migrated(
    tocsin: Tocsin, redis_server: Redis, postgres_url: str, command: tuple[str, ...]
) -> None:
    tocsin.spread(redis_server, postgres_url)
    with tocsin.start(*command) as process:
        assert process.ended() == 2
        assert "run tocsin migrate" in process.stderr
