"""Guard 1: kombu's channel to Redis, but for the moment after its connection was closed.

Why: when Redis dies, kombu 5.7.0 closes the transport. An acknowledgement, or the putting back of what was not
acknowledged, that comes after that finds no client there: `AttributeError: 'NoneType' object has no attribute
'hostname'` in `Channel._connparams`. Celery holds that for an error in the program ("Unrecoverable error") and ends the
worker: one in ten, each time that Redis dies under load (CELERY.md, section 1). Redis's own ConnectionError says what
it is, and what follows from it is to connect anew.

When it may go: when `tests/integration/broker/test_channel.py` shows that kombu's own channel raises one of its
connection errors there.
"""

from typing import Any

from kombu.transport import redis as theirs
from redis.exceptions import ConnectionError as RedisIsGone


class Channel(theirs.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel that says so when its connection is gone."""

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002  # kombu's signature
        if self.connection is None or self.connection.client is None:
            raise RedisIsGone("the connection was closed")
        return super()._connparams(asynchronous=asynchronous)


class Transport(theirs.Transport):  # type: ignore[misc]  # as above
    """The transport of such channels."""

    Channel = Channel
