"""Queues that nobody takes anything from, and a Redis that is full: nobody fills it, and everybody says so."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from kombu.exceptions import OperationalError
from structlog.testing import capture_logs

from schedules.scheduler import Scheduler
from tests.fakes import AT
from tests.servers import LOOPBACK, Redis, valkey_program
from worker.broker.room import MOST, has_room
from worker.broker.settings import DELIVER, POLL, SETTINGS, broker_settings
from worker.health import look
from worker.settings import Places


@pytest.fixture
def small() -> Iterator[Redis]:
    """One of this test's own; as compose.yaml has it, it refuses what it has no memory for."""
    with Redis(valkey_program()) as server:
        yield server


def is_full(server: Redis) -> None:
    with redis.Redis(LOOPBACK, server.port) as client:
        client.config_set("maxmemory", 1)


def celery_app(broker: str) -> Celery:
    made = Celery("sending", set_as_current=False)
    made.conf.update(SETTINGS, **broker_settings(broker))
    return made


@pytest.fixture
def app(small: Redis) -> Iterator[Celery]:
    with closing(celery_app(small.url)) as made:
        yield made


@pytest.fixture
def scheduler(app: Celery) -> Iterator[Scheduler]:
    with closing(Scheduler(app, lazy=True)) as made:
        yield made


def waiting(server: Redis, queue: str) -> int:
    with redis.Redis(LOOPBACK, server.port) as client:
        return int(client.llen(f"tocsin:{queue}"))


def take_all(server: Redis, queue: str) -> None:
    with redis.Redis(LOOPBACK, server.port) as client:
        client.delete(f"tocsin:{queue}")


def tick(scheduler: Scheduler, queue: str, times: int = 1) -> list[Any]:
    """What beat says when a tick of that queue is due, so many times."""
    entry = ScheduleEntry("a tick", "any", schedule=schedule(1), options={"queue": queue}, app=scheduler.app)
    with capture_logs() as logs:
        for _ in range(times):
            scheduler.apply_entry(entry, producer=scheduler.producer)
    return [(line["event"], line["queue"]) for line in logs]


def test_while_nobody_takes_any_beat_sends_no_more_than_a_thousand_and_says_so_once(
    small: Redis, scheduler: Scheduler
) -> None:
    assert [("beat.holds_back", DELIVER)] == tick(scheduler, DELIVER, MOST + 100)
    assert MOST == waiting(small, DELIVER)


def test_another_queue_takes_what_comes_and_all_goes_on_when_somebody_takes_again(
    small: Redis, scheduler: Scheduler
) -> None:
    tick(scheduler, DELIVER, MOST + 1)
    assert [] == tick(scheduler, POLL)
    take_all(small, DELIVER)
    assert [("beat.goes_on", DELIVER)] == tick(scheduler, DELIVER, 2)
    assert (1, 2) == (waiting(small, POLL), waiting(small, DELIVER))


def test_when_redis_is_full_or_away_beat_says_so_in_one_line(small: Redis, scheduler: Scheduler) -> None:
    tick(scheduler, POLL)
    is_full(small)
    assert [("beat.holds_back", POLL)] == tick(scheduler, POLL, 5)
    small.kill()
    assert [("beat.holds_back", DELIVER)] == tick(scheduler, DELIVER, 2)


def test_whoever_asks_a_redis_that_is_away_is_told_as_whoever_sends(small: Redis, app: Celery) -> None:
    with app.producer_or_acquire() as producer:
        assert has_room(producer, POLL)
        small.kill()
        with pytest.raises(OperationalError):
            has_room(producer, POLL)


def test_a_queue_in_memory_has_room() -> None:
    with closing(celery_app("memory://")) as app, app.producer_or_acquire() as producer:
        assert has_room(producer, POLL)


def test_a_redis_that_is_full_answers_and_is_not_well(small: Redis) -> None:
    is_full(small)
    [broker] = [
        sign for sign in look(Places("sqlite:////nowhere/at.all", small.url), lambda: AT) if sign.subject == "broker"
    ]
    assert not broker.good
    assert broker.text.startswith("it is full and takes no task")
