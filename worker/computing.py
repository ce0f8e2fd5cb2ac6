"""Polls of one process compute one at a time: a core is all that they have, and what they bring is waited for.

Ten that are due at the same second would share Python's lock with the sweep, which has a message of the first to send,
and which would get it once in eleven times. While one waits for its provider, another computes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local

_PATIENCE_S = 1.0


class OneAtATime:
    """A courtesy, no promise: who has waited for `patience_s` goes on beside the other, which may be stuck."""

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self._turn, self._patience_s = Lock(), patience_s
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
        """Within its turn, it waits for what takes no core. Without one, this does nothing."""
        if not hasattr(self._mine, "held"):
            yield
            return
        self._leave()
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        self._mine.held = self._turn.acquire(timeout=self._patience_s)

    def _leave(self) -> None:
        if self._mine.held:
            self._turn.release()
        self._mine.held = False
