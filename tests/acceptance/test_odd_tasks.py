"""Tasks that run too long, twice, or an hour late: the database stays right (DESIGN, rule 4)."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from sqlmodel import col, select

from tests.acceptance.load import OFTEN, PREFORK, ROUNDS, THREADS, celery_with, sender
from tests.acceptance.processes import COMMAND, Tocsin
from tests.fakes import item
from tests.integration.store.desk import Desk
from tests.servers import LOOPBACK, Redis
from worker.sandbox import PATH, Answer
from worker.store.retention import WHOLE_AT_ONCE
from worker.store.session import Database
from worker.store.tables import NotificationRow, PollRun, Source

_LIMITS = {
    "lease_s": 1,
    "settings": {"task_time_limit": 2},
    "transport": {"visibility_timeout": 3, "unacked_restore_interval": 1},
}
_LONGER_THAN_ANY = timedelta(seconds=4)
_POOLS = {"prefork": [PREFORK], "threads": [THREADS]} if ROUNDS >= OFTEN else {"both": [PREFORK, THREADS]}
_AN_HOUR_AGO = timedelta(hours=1)
_WITHIN_S = 60.0
_ROWS = 5


@pytest.fixture
def spread(tocsin: Tocsin, redis_server: Redis, database_url: str) -> Tocsin:
    tocsin.configure("1h")
    tocsin.spread(redis_server, database_url)
    return tocsin


@pytest.fixture
def tasks(redis_server: Redis) -> Iterator[Celery]:
    with closing(sender(redis_server)) as app:
        yield app


def _worker(pool: tuple[str, ...], **wishes: Any) -> tuple[str, ...]:
    return celery_with(wishes, "-A", "worker.app", "worker", "--without-gossip", "--without-mingle", *pool)


def send(tasks: Celery, *names: str, **options: Any) -> None:
    """These tasks, named as in the timetable; what follows a blank is the argument."""
    with tasks.connection_for_write() as connection:
        for name in names:
            task, _, argument = name.partition(" ")
            queue = "deliver" if task.startswith("deliver") else "poll"
            args = [argument] if argument else []
            tasks.send_task(task, args=args, queue=queue, connection=connection, **options)


def polls(url: str, source: str) -> int:
    asked = select(PollRun).join(Source, col(Source.id) == col(PollRun.source_id)).where(col(Source.name) == source)
    with closing(Database(url)) as database, database.reading() as session:
        return len(session.exec(asked).all())


def all_ended(server: Redis) -> bool:
    """None waits, and none is held."""
    with redis.Redis(LOOPBACK, server.port) as client:
        return not client.llen("tocsin:poll") + client.llen("tocsin:deliver") + client.hlen("tocsin:unacked")


def arrived(tocsin: Tocsin, count: int) -> bool:
    return len(tocsin.sandbox.receiver.received(PATH)) >= count


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("pools", _POOLS.values(), ids=_POOLS)
def test_a_poll_that_takes_longer_than_every_limit_loses_nothing_and_holds_up_no_other(
    spread: Tocsin, pools: list[tuple[str, ...]]
) -> None:
    spread.configure("1s")
    sandbox, slow = spread.sandbox, spread.sandbox.realtime_register
    slow.faults.slow(_LONGER_THAN_ANY)
    for slug in sandbox.apis:
        sandbox.publish(_ROWS, slug)

    with ExitStack() as running:
        beat = running.enter_context(spread.start(*COMMAND, "beat"))
        workers = [running.enter_context(spread.start(*_worker(pool, **_LIMITS))) for pool in pools]
        workers[0].until(lambda: arrived(spread, 2 * _ROWS), "the others are not held up", _WITHIN_S)
        workers[0].until(lambda: len(slow.requests) > 2, "it is tried again", _WITHIN_S)
        assert 2 * _ROWS == len(sandbox.receiver.received(PATH))
        slow.faults.clear()
        workers[0].until(lambda: not sandbox.broken_promises(), "everything has arrived", _WITHIN_S)
        assert {0} == {process.stopped() for process in (beat, *workers)}

    assert (0, 3 * _ROWS) == (sandbox.tally().duplicates, sandbox.tally().notifications)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_task_that_comes_many_times_at_once_does_its_work_once(
    spread: Tocsin, tasks: Celery, redis_server: Redis, database_url: str
) -> None:
    source, receiver = spread.sandbox.bookkeep.slug, spread.sandbox.receiver
    receiver.script(PATH, then=Answer(204, after=timedelta(milliseconds=200)))
    spread.sandbox.publish(_ROWS, source)
    send(tasks, *[f"poll.source {source}"] * 8, *["deliver.sweep"] * 8)
    with spread.start(*_worker(THREADS)) as one, spread.start(*_worker(PREFORK)):
        one.until(lambda: arrived(spread, _ROWS), "everything has arrived", _WITHIN_S)
        send(tasks, *[f"poll.tick {source}", f"poll.source {source}", "deliver.sweep", "retention.prune"] * 8)
        one.until(lambda: all_ended(redis_server), "every task has ended", _WITHIN_S)

    assert 1 == polls(database_url, source)
    assert _ROWS == len(receiver.received(PATH))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_task_that_comes_an_hour_late_is_dropped_or_finds_nothing_to_do(
    spread: Tocsin, tasks: Celery, redis_server: Redis, database_url: str
) -> None:
    source = spread.sandbox.bookkeep.slug
    spread.sandbox.publish(_ROWS, source)
    expired = {"expires": datetime.now(UTC) - _AN_HOUR_AGO}
    with spread.start(*_worker(THREADS)) as worker:
        send(tasks, *[f"poll.tick {source}", f"poll.source {source}", "deliver.sweep"] * 5, **expired)
        worker.until(lambda: all_ended(redis_server), "every task has ended", _WITHIN_S)
        assert 0 == polls(database_url, source)

        send(tasks, f"poll.tick {source}")
        worker.until(lambda: arrived(spread, _ROWS), "everything has arrived", _WITHIN_S)
        send(tasks, f"poll.source {source}", "deliver.sweep")  # an hour late, had it come when it was sent
        worker.until(lambda: all_ended(redis_server), "every task has ended", _WITHIN_S)

    assert 1 == polls(database_url, source)
    assert _ROWS == len(spread.sandbox.receiver.received(PATH))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pruning_that_takes_longer_than_a_task_may_goes_on_in_another(
    spread: Tocsin, tasks: Celery, database_url: str
) -> None:
    with closing(Database(database_url)) as database:
        desk = Desk(database, datetime.now(UTC) - timedelta(days=500))
        desk.source()
        desk.store(*(item(f"n{number}", "resolved") for number in range(2 * WHOLE_AT_ONCE + 1)))

        with spread.start(*_worker(PREFORK, prune_s=0)) as worker:
            send(tasks, "retention.prune")
            worker.until(lambda: not desk.rows(NotificationRow), "all is gone", _WITHIN_S)
            worker.until(lambda: '"finished":true' in worker.stderr, "it ends", _WITHIN_S)
        assert 3 == worker.stderr.count('"finished":false')


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_sweep_that_waits_to_be_taken_is_nudge_enough_for_all_polls(
    spread: Tocsin, tasks: Celery, redis_server: Redis, database_url: str
) -> None:
    source = spread.sandbox.bookkeep.slug
    spread.sandbox.publish(_ROWS, source)
    with redis.Redis(LOOPBACK, redis_server.port) as client:
        client.lpush("tocsin:deliver", "a tick")
        with spread.start(*_worker(THREADS), "--queues", "poll") as worker:
            send(tasks, f"poll.source {source}")
            worker.until(lambda: client.llen("tocsin:poll") + client.hlen("tocsin:unacked") == 0, "it ends", _WITHIN_S)
        assert (1, 1) == (polls(database_url, source), client.llen("tocsin:deliver"))
