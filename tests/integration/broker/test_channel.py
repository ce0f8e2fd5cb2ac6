"""Guard 1, and what it guards against: kombu's own channel shows when the guard may go."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from kombu import Connection
from kombu.transport import redis as kombus

from tests.servers import Redis
from worker.broker.channel import Channel, Transport
from worker.broker.guarded import guard_channels


@pytest.fixture
def connection(redis_server: Redis) -> Iterator[Connection]:
    guard_channels()
    with Connection(redis_server.url, transport_options={"global_keyprefix": "tocsin:"}) as connected:
        yield connected


def test_what_redis_and_rediss_connect_to_is_guarded(redis_server: Redis) -> None:
    guard_channels()
    addresses = [redis_server.url, redis_server.url.replace("redis:", "rediss:")]
    assert [Transport, Transport] == [Connection(address).get_transport_cls() for address in addresses]


def test_it_is_guarded_also_when_somebody_connected_before() -> None:
    words = (
        "from kombu import Connection; from worker.broker.guarded import guard_channels;"
        "found = lambda: Connection('redis://127.0.0.1').get_transport_cls().__module__;"
        "before = found(); guard_channels(); print(before, found())"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kombu.transport.redis", "worker.broker.channel"]


def test_an_acknowledgement_after_the_connection_was_closed_is_a_connection_error(connection: Connection) -> None:
    channel = connection.channel()
    errors = connection.connection_errors
    connection.close()

    with pytest.raises(errors, match="the connection was closed"):
        channel.qos.ack("a tag")


def test_it_is_one_too_when_only_the_transport_was_closed(connection: Connection) -> None:
    channel = connection.channel()
    channel.connection.client = None  # as kombu does when it collects a broken connection

    with pytest.raises(connection.connection_errors, match="the connection was closed"):
        channel.qos.restore_unacked()


def test_kombus_own_channel_ends_in_an_error_that_ends_the_worker(redis_server: Redis) -> None:
    with Connection(redis_server.url, transport=kombus.Transport) as connection:
        channel = connection.channel()
        channel.connection.client = None

        with pytest.raises(AttributeError, match="hostname") as raised:
            channel.qos.ack("a tag")
        assert not isinstance(raised.value, connection.connection_errors)


def test_a_guarded_channel_works(connection: Connection) -> None:
    channel = connection.channel()
    assert isinstance(channel, Channel)
    with connection.SimpleQueue("a queue") as queue:
        queue.put({"a": 1})
        message = queue.get(timeout=5)
        assert {"a": 1} == message.payload
        message.ack()
