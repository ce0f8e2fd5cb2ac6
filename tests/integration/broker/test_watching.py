"""What the guards and the watchdog look at, in this process, on a real Redis."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.signals import task_received
from celery.worker import state

from tests.servers import LOOPBACK, Redis, free_port
from worker.broker.settings import DELIVER, POLL, SETTINGS, broker_settings
from worker.broker.stuck import Stuck
from worker.broker.watching import Watchdog, waiting


def celery_app(broker: str) -> Celery:
    app = Celery("looking", set_as_current=False)
    app.conf.update(SETTINGS, **broker_settings(broker))
    return app


@pytest.fixture
def app(redis_server: Redis) -> Iterator[Celery]:
    redis_server.flush()
    with closing(celery_app(redis_server.url)) as made:
        yield made


@pytest.fixture
def request_held() -> Iterator[str]:
    """The tag of a message that this process holds a request for."""
    state.requests["a task"] = SimpleNamespace(message=SimpleNamespace(delivery_tag="held"))
    yield "held"
    state.requests.clear()


def consumer(*delivered: str) -> Any:
    qos = SimpleNamespace(_delivered=dict.fromkeys(delivered), _dirty=set())
    return SimpleNamespace(task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)))


def test_what_waits_is_counted_in_all_queues_of_the_worker(app: Celery) -> None:
    with app.connection_for_write() as connection:
        for queue in (POLL, POLL, DELIVER):
            app.send_task("any", queue=queue, connection=connection)

    assert 3 == waiting(app)


def test_where_redis_does_not_answer_nobody_knows_what_waits() -> None:
    with closing(celery_app(f"redis://{LOOPBACK}:{free_port()}/0")) as app:
        assert waiting(app) is None


def test_a_message_that_was_forgotten_twice_in_a_row_gives_up_the_connection(request_held: str) -> None:
    looking, of_this_connection = Stuck(consumer()), consumer(request_held, "forgotten")
    looking.look(of_this_connection)

    with pytest.raises(ConnectionError, match="nobody will acknowledge"):
        looking.look(of_this_connection)


def test_messages_that_come_and_go_are_not_stuck(request_held: str) -> None:
    looking = Stuck(consumer())
    for tag in ("one", "another", "a third"):
        looking.look(consumer(request_held, tag))


def test_while_there_is_no_channel_there_is_nothing_to_look_at() -> None:
    Stuck(consumer()).look(SimpleNamespace(task_consumer=SimpleNamespace(channel=None)))


def is_watched(broker: str) -> bool:
    worker = SimpleNamespace(app=SimpleNamespace(conf=SimpleNamespace(broker_url=broker)))
    return Watchdog(worker).include_if(worker)


def test_a_worker_on_redis_is_watched() -> None:
    assert is_watched("redis://127.0.0.1/0")


def test_a_worker_whose_queue_ends_with_it_is_not() -> None:
    assert not is_watched("memory://localhost/")


def test_a_worker_is_watched_until_it_is_told_to_end(app: Celery) -> None:
    worker = SimpleNamespace(app=app, concurrency=2)
    watchdog = Watchdog(worker)
    watchdog.every = timedelta(milliseconds=10)
    watchdog.start(worker)
    (thread,) = [one for one in threading.enumerate() if one.name == "watchdog"]
    task_received.send(sender=None)
    watchdog.close(worker)
    thread.join(timeout=10)
    assert not thread.is_alive()
