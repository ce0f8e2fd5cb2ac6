"""How long to wait after failures: pure arithmetic; who fails, and what of, is decided elsewhere."""

from datetime import timedelta
from random import Random


def full_jitter(failures: int, first: timedelta, ceiling: timedelta, random: Random) -> timedelta:
    """A random wait up to `first` doubled with each failure, `ceiling` at most (POLLING, section 5).

    The first failure is number 1. Never less than a tenth of the bound, so that nothing spins.
    """
    bound = min(first * (1 << min(failures - 1, 32)), ceiling)
    return bound * random.uniform(0.1, 1.0)


def lengthened(wait: timedelta, random: Random, by: float = 0.2) -> timedelta:
    """The wait and up to `by` of it more, never less (DELIVERY, section 3)."""
    return wait * (1 + random.uniform(0, by))


def doubled(times: int, first: timedelta, ceiling: timedelta) -> timedelta:
    """`first`, doubled `times` times, `ceiling` at most; without jitter."""
    return min(first * (1 << min(times, 32)), ceiling)
