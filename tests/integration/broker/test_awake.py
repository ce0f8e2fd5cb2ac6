"""The broker in memory: who waits is woken, and isn't woken in vain."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue as Taken
from time import monotonic
from uuid import uuid4

import pytest
from kombu import Connection, Consumer, Message, Producer, Queue

from worker.broker.awake import News, Transport

PATIENCE_S = 60


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection(transport=Transport) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A queue that no other test knows: those in memory are the process's."""
    return f"test-{uuid4().hex}"


@contextmanager
def consuming(connection: Connection, *names: str, at_once: int = 0) -> Iterator["Taken[Message]"]:
    """What is taken from these queues."""
    taken: Taken[Message] = Taken()
    queues = [Queue(name, routing_key=name) for name in names]
    with Consumer(connection.channel(), queues, callbacks=[lambda _, message: taken.put(message)]) as consumer:
        consumer.qos(prefetch_count=at_once)
        yield taken


@contextmanager
def waiting(connection: Connection, messages: int = 1) -> Iterator[None]:
    """A thread that waits for so many messages; at the end it has them."""

    def drain() -> None:
        for _ in range(messages):
            connection.drain_events(timeout=PATIENCE_S)

    thread = threading.Thread(target=drain)
    thread.start()
    yield
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def putting(connection: Connection, name: str) -> Callable[[int], None]:
    """Puts a number into the queue, from a channel of its own."""
    producer = Producer(connection.channel())
    return lambda number: producer.publish(number, routing_key=name, declare=[Queue(name, routing_key=name)])


def test_what_is_put_wakes_who_waits(connection: Connection, name: str) -> None:
    with consuming(connection, name) as taken, Connection(transport=Transport) as other:
        put, began = putting(other, name), monotonic()
        with waiting(connection, 20):
            for number in range(20):
                put(number)
                assert taken.get(timeout=PATIENCE_S).payload == number
        assert monotonic() - began < 5  # kombu's own sleeps for a second after each


def test_what_is_put_into_another_queue_of_the_same_consumer_wakes_it(connection: Connection, name: str) -> None:
    with consuming(connection, name, f"{name}-too") as taken, waiting(connection, 2):
        putting(connection, f"{name}-too")(2)
        putting(connection, name)(1)
    assert sorted(taken.get().payload for _ in range(2)) == [1, 2]


def test_room_for_another_message_wakes_who_had_none(connection: Connection, name: str) -> None:
    with consuming(connection, name, at_once=1) as taken:
        for number in range(2):
            putting(connection, name)(number)
        connection.drain_events(timeout=PATIENCE_S)
        first = taken.get()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.01)
        with waiting(connection):
            first.ack()
        assert taken.get().payload == 1


def test_two_connections_wait_and_each_is_woken(connection: Connection, name: str) -> None:
    with (
        Connection(transport=Transport) as other,
        consuming(connection, name) as ours,
        consuming(other, f"{name}-too") as theirs,
        waiting(connection, 50),
        waiting(other, 50),
    ):
        for number in range(50):
            putting(connection, f"{name}-too")(number)
            putting(connection, name)(number)
    assert ([ours.get().payload for _ in range(50)], [theirs.get().payload for _ in range(50)]) == (
        list(range(50)),
        list(range(50)),
    )


def test_nothing_within_the_time_is_a_timeout(connection: Connection, name: str) -> None:
    with consuming(connection, name):
        began = monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.05)
        assert monotonic() - began >= 0.05


def test_news_between_the_look_and_the_wait_is_not_slept_through() -> None:
    news = News()
    since = news.so_far()
    news.tell()
    news.wait(since, None)
    assert news.so_far() == since + 1
