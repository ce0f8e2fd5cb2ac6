"""Nudges: that a sweep is worth its while now, said while a poll goes on, as often as is of use and no oftener."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Final

from kombu.exceptions import OperationalError

EVERY: Final = timedelta(seconds=1)
"""As often as the schedule has sweeps made in any case."""


class Nudges:
    """Those of one poll, through a broker: at most one in `EVERY`, and one at its end for what came after the last.

    `send` raises OperationalError where the broker is away. One that hangs is waited for, for seconds; so after one
    that failed this poll sends none, and leaves it to the schedule.
    """

    def __init__(self, send: Callable[[], object], seconds: Callable[[], float] = monotonic) -> None:
        self._send, self._seconds = send, seconds
        self._next_at, self._is_owing = float("-inf"), False

    def owe(self) -> None:
        """There may be something to deliver."""
        self._is_owing = True
        if self._seconds() >= self._next_at:
            self._nudge()

    def close(self) -> None:
        """The poll has ended."""
        if self._is_owing and self._next_at != float("inf"):
            self._nudge()

    def _nudge(self) -> None:
        self._is_owing = False
        try:
            self._send()
        except OperationalError:
            self._next_at = float("inf")
        else:
            self._next_at = self._seconds() + EVERY.total_seconds()
