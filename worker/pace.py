"""A rate limit as one instant: up to where it is used up (the generic cell rate algorithm). Pure.

Requests are spread evenly; what fits into one second may go at once.
"""

from datetime import datetime, timedelta

from worker.settings import Rate

_BURST = timedelta(seconds=1)


def room_at(rate: Rate, paced_until: datetime | None, now: datetime) -> int:
    """How many requests may be made now."""
    used_up_to = max(paced_until or now, now)
    interval = rate.per / rate.count
    tolerance = max(min(_BURST, rate.per) - interval, timedelta())
    return max(0, (now + tolerance - used_up_to) // interval + 1)


def spent(rate: Rate, paced_until: datetime | None, count: int, now: datetime) -> datetime:
    """Up to where the limit is used up after `count` requests."""
    return max(paced_until or now, now) + rate.per / rate.count * count
