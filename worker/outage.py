"""The database is away: a line when it begins, one now and then while it lasts, one when it is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from time import monotonic

import structlog

from worker.errors import ConfigurationError
from worker.store.session import TROUBLE, reason

EVERY = timedelta(seconds=30)
"""How often it is said while it lasts; every second, every task meets it."""

CALM = timedelta(seconds=10)
"""For so long nothing may have failed before it is over: a full disk is read all the time, and written now and then."""

_log = structlog.get_logger("database")


class Outage:
    """What one process knows of its database's trouble; its threads share it."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._since: float | None = None
        self._last_at = self._said_at = float("-inf")

    @contextmanager
    def survived(self, task: str, *, proof: bool = False) -> Iterator[None]:
        """Trouble in this task ends the task and nothing else: what it left undone is due as before.

        `proof`: it always asks the database, so that it went well shows that the trouble is over.
        """
        try:
            yield
        except TROUBLE as error:
            self._begins(task, reason(error))
        except ConfigurationError as error:  # a process that is forked later opens its house in the midst of it
            self._begins(task, str(error))
        else:
            if proof:
                self._ends()

    def _begins(self, task: str, why: str) -> None:
        with self._lock:
            now = self._seconds()
            self._since = now if self._since is None else self._since
            self._last_at = now
            if now - self._said_at < EVERY.total_seconds():
                return
            self._said_at = now
        _log.error("database.trouble", task=task, reason=why)

    def _ends(self) -> None:
        with self._lock:
            now = self._seconds()
            if self._since is None or now - self._last_at < CALM.total_seconds():
                return
            since, self._since, self._said_at = self._since, None, float("-inf")
        _log.info("database.recovered", seconds=round(now - since, 1))
