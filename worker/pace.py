"""A rate limit as one instant: up to where it is used up (the generic cell rate algorithm). Pure.

Requests are spread evenly; what fits into one second may go at once.
"""

from datetime import datetime, timedelta

from worker.settings import Rate

_SECOND = _BURST = timedelta(seconds=1)
_DOUBLINGS = 12
"""At 4096 requests a second, doubling is over: one process doesn't send as many."""


def room_at(rate: Rate, paced_until: datetime | None, now: datetime) -> int:
    """How many requests may be made now."""
    used_up_to = max(paced_until or now, now)
    interval = rate.per / rate.count
    tolerance = max(min(_BURST, rate.per) - interval, timedelta())
    return max(0, (now + tolerance - used_up_to) // interval + 1)


def spent(rate: Rate, paced_until: datetime | None, count: int, now: datetime) -> datetime:
    """Up to where the limit is used up after `count` requests."""
    return max(paced_until or now, now) + rate.per / rate.count * count


def opening_room(since: datetime, paced_until: datetime | None, now: datetime) -> int | None:
    """How many requests may be made now of an endpoint that has recovered (DELIVERY, section 3).

    1 in the first second since, then 2, 4, 8 …, at any time within it. None: it has been open for so long that its own
    limits are what counts.
    """
    second = _second(since, now)
    if second >= _DOUBLINGS:
        return None
    begins_at = since + second * _SECOND
    left = begins_at + _SECOND - max(paced_until or begins_at, begins_at)
    return max(0, (left * (1 << second)) // _SECOND)


def opening_spent(since: datetime, paced_until: datetime | None, count: int, now: datetime) -> datetime:
    """Up to where this second is used up after `count` requests."""
    second = _second(since, now)
    begins_at = since + second * _SECOND
    return max(paced_until or begins_at, begins_at) + _SECOND * count / (1 << second)


def _second(since: datetime, now: datetime) -> int:
    return min(max(now - since, timedelta()) // _SECOND, _DOUBLINGS)
