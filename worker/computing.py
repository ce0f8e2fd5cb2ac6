"""Polls of one process compute one at a time: a core is all that they have, and what they bring is waited for.

Ten that are due at the same second would share Python's lock with the sweep, which has a message of the first to send,
and which would get it once in eleven times. While one waits for its provider, another computes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local

_PATIENCE_S = 1.0


def turns_at(database: str) -> "OneAtATime":
    """The polls' of one process. On SQLite, where they write in turn in any case.

    PostgreSQL, which may be far away, is waited for dozens of times in a poll; nobody has to wait for that.
    """
    return OneAtATime(_PATIENCE_S if database.startswith("sqlite") else 0)


class OneAtATime:
    """A courtesy, no promise: who has waited for `patience_s` goes on beside the other, which may be stuck."""

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._turn = Lock()
        self._mine = local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """This thread computes."""
        self._take()
        try:
            yield
        finally:
            self._leave()
            del self._mine.held

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within its turn, it waits for what takes no core. Without one, and aside already, this does nothing."""
        if not getattr(self._mine, "held", False):
            yield
            return
        self._leave()
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        self._mine.held = self._turn.acquire(timeout=self.patience_s)

    def _leave(self) -> None:
        if self._mine.held:
            self._mine.held = False
            self._turn.release()
