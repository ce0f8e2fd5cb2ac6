"""Waiting for what may take long to ask for."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Final

_PAUSE_S: Final = 0.1


def wait_until(ready: Callable[[], bool], within_s: float) -> None:
    """Ask again and again until it is so. Raises TimeoutError."""
    pause, until = Event(), monotonic() + within_s
    while not ready():
        if monotonic() > until:
            raise TimeoutError(f"not so within {within_s} s")
        pause.wait(_PAUSE_S)
