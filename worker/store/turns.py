"""Turns at a lock that many threads want: some of them go before the others."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic

from sqlalchemy import exc


class Turns:
    """One at a time. Of those that are not `first`, one stands in line at most, whatever their number.

    So who is first waits for two of them and for its like, not for all. `within_s`: nobody waits longer than that.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._turn, self._line, self._others = Lock(), Lock(), Lock()

    @contextmanager
    def turn(self, *, first: bool = False) -> Iterator[float]:
        """Ours, for as long as it takes; how many of its seconds are left, to wait for what the turn is at.

        Raises OperationalError, as a file that is locked does.
        """
        until = monotonic() + self._within_s
        if not first:
            _acquire(self._others, until)
        try:
            self._in_line(until)
            try:
                yield until - monotonic()
            finally:
                self._turn.release()
        finally:
            if not first:
                self._others.release()

    def _in_line(self, until: float) -> None:
        _acquire(self._line, until)
        try:
            _acquire(self._turn, until)
        finally:
            self._line.release()


def _acquire(lock: Lock, until: float) -> None:
    if not lock.acquire(blocking=False) and not lock.acquire(timeout=max(0, until - monotonic())):
        raise exc.OperationalError(None, None, sqlite3.OperationalError("database is locked"))
