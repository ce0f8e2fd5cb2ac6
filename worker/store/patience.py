"""Trying again what the database did not take: it restarts, fails over, or two of us stood in each other's way."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import TypeVar

from worker.store.session import PASSING

WITHIN = timedelta(seconds=30)
"""For so long it is worth it: after that, a claim has ended as a rule, and others are at what was ours."""

_FIRST_S, _LONGEST_S = 0.1, 2.0
_NEVER = Event()
_Result = TypeVar("_Result")


def patiently(
    act: Callable[[], _Result],
    within: timedelta = WITHIN,
    pause: Callable[[float], object] = _NEVER.wait,
    seconds: Callable[[], float] = monotonic,
) -> _Result:
    """Do it; in passing trouble again, after longer and longer pauses, until it was done or that time is over.

    Only for one whole transaction, of which nothing stays if it fails, and that writes nothing if it was done already:
    of a commit that got no answer nobody knows. Raises what the last attempt raised.
    """
    until, wait_s = seconds() + within.total_seconds(), _FIRST_S
    while True:
        try:
            return act()
        except PASSING:
            if seconds() + wait_s > until:
                raise
        pause(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_S)
