"""Guard 2: messages that fill the window, and that nobody here will ever acknowledge.

Why: when Redis dies while a task ends, kombu 5.7.0 only logs "Couldn't ack …, reason: ConnectionError". The message
stays in the channel's `qos._delivered`. Once those fill the prefetch window, BRPOP is never sent again; so the dead
socket is never looked at, and the worker takes nothing for ever while it seems well (CELERY.md, section 1: one worker
in ten, eight in ten without remote control). So the consumer looks, again and again, for messages that count as
delivered and that no request of this worker bears. One that is there twice in a row is stuck: the connection is given
up, as if Redis had closed it, and the consumer connects anew.

When it may go: when `tests/acceptance/test_redis_dies.py` shows that no worker is lost without the guards.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import chain
from typing import Any

import structlog
from celery import bootsteps
from celery.worker import state

LOOK_EVERY = timedelta(seconds=5)
_log = structlog.get_logger("broker")


def forgotten(delivered: Iterable[str], acknowledged: Iterable[str], held: Iterable[str]) -> frozenset[str]:
    """The tags of messages that fill the window, and that no request bears."""
    return frozenset(delivered) - frozenset(acknowledged) - frozenset(held)


def held() -> Iterable[str]:
    """The tags that this process's requests bear, whatever stage they are at."""
    known = chain(state.requests.copy().values(), state.reserved_requests.copy(), state.active_requests.copy())
    return [request.message.delivery_tag for request in known]


class Stuck(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Looks for forgotten messages, in the consumer's own event loop. Without one (in memory) nothing is forgotten."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    every = LOOK_EVERY

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._before: frozenset[str] = frozenset()

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Celery calls this whenever it has connected, and takes the timer out when the connection is lost."""
        self._before = frozenset()
        hub.call_repeatedly(self.every.total_seconds(), self.look, consumer)

    def look(self, consumer: Any) -> None:
        """Raises ConnectionError for what was forgotten at two looks in a row."""
        channel = consumer.task_consumer.channel
        if channel is None:
            return
        now = forgotten(tuple(channel.qos._delivered), tuple(channel.qos._dirty), held())  # noqa: SLF001  # kombu says it nowhere else
        stuck, self._before = now & self._before, now
        if stuck:
            _log.warning("broker.stuck", messages=len(stuck), why="delivered, and nobody here will acknowledge them")
            raise ConnectionError("messages were delivered that nobody will acknowledge")
