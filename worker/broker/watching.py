"""The watchdog in a worker: a thin thread that looks, asks for the verdict, and ends the process."""

import os
import sys
import threading
from datetime import timedelta
from itertools import count
from time import monotonic
from typing import Any

import structlog
from celery import bootsteps, signals
from celery.platforms import EX_FAILURE
from celery.worker import state

from worker.broker.watchdog import HUNG_AFTER, LOOK_EVERY, Look, watch

_log = structlog.get_logger("watchdog")


class Watchdog(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Watches this worker from the start of its pool until it is told to end."""

    requires = ("celery.worker.components:Pool",)
    hung_after = HUNG_AFTER
    every = LOOK_EVERY

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._told_to_end = threading.Event()
        self._numbers = count(1)
        self._taken = 0

    def include_if(self, worker: Any) -> bool:
        """A queue in memory ends with its worker: who would be waiting?"""
        return not worker.app.conf.broker_url.startswith("memory:")

    def start(self, worker: Any) -> None:
        """Begin to watch."""
        signals.task_received.connect(self._takes)
        threading.Thread(target=self._watch, args=(worker,), name="watchdog", daemon=True).start()

    def close(self, worker: Any) -> None:  # noqa: ARG002  # Celery's signature
        """The worker ends: it takes nothing more, as it should."""
        self._told_to_end.set()

    def _takes(self, **_: object) -> None:
        self._taken = next(self._numbers)

    def _watch(self, worker: Any) -> None:
        known = watch(lambda: self._look(worker), self._told_to_end.wait, self.hung_after, self.every)
        if known is None or known.before is None:
            return
        look = known.before
        _log.critical(
            "worker.hung", waiting=look.waiting, taken=look.taken, held=look.held,
            why="tasks wait, Redis answers, and it takes none; its supervisor is to start another",
        )  # fmt: skip
        sys.stderr.flush()
        os._exit(EX_FAILURE)

    def _look(self, worker: Any) -> Look:
        return Look(
            at=timedelta(seconds=monotonic()),
            waiting=waiting(worker.app),
            taken=self._taken,
            held=len(state.requests),
            room=worker.concurrency,
        )


def waiting(app: Any) -> int | None:
    """The tasks in the queues that this worker listens to; None where Redis doesn't answer.

    It asks on a connection of its own, as the worker's may be what hangs.
    """
    with app.connection_for_read() as connection:
        try:
            connection.connect()
            client = connection.channel().client
            return sum(int(client.llen(queue)) for queue in tuple(app.amqp.queues.consume_from))
        except (*connection.connection_errors, *connection.channel_errors):
            return None
