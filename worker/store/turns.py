"""Turns at a lock that many threads want: some of them go before the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """One at a time. Of those that are not `first`, one stands in line at most, whatever their number.

    So who is first waits for two of them and for its like, not for all.
    """

    def __init__(self) -> None:
        self._turn, self._line, self._others = Lock(), Lock(), Lock()

    @contextmanager
    def turn(self, *, first: bool = False) -> Iterator[None]:
        """Ours, for as long as it takes."""
        if first:
            with self._in_line():
                yield
        else:
            with self._others, self._in_line():
                yield

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        with self._line:
            self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()
