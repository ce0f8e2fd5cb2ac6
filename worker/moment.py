"""When a source is polled: its moment within `every`, or the next one of `cron` (POLLING, section 5). Pure."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAGS_AFTER = 3


@dataclass(frozen=True, slots=True)
class Schedule:
    """A source's schedule: `every`, or `cron` in a time zone; exactly one of the two."""

    every: timedelta | None = None
    cron: str | None = None
    timezone: str = "UTC"


def next_moment(source: str, schedule: Schedule, after: datetime) -> datetime:
    """The first moment after `after`; missed ones are skipped.

    With `every`, the moment within the interval is fixed by the name, so that a thousand sources don't wake together.
    With `cron`, daylight saving is as in Debian's cron: a skipped hour's moment comes right after it, none comes twice.
    """
    if schedule.cron is not None:
        zoned = after.astimezone(ZoneInfo(schedule.timezone))
        return next(CronSim(schedule.cron, zoned)).astimezone(UTC)
    every = _every(schedule)
    phase = every * (int.from_bytes(hashlib.sha256(source.encode()).digest()[:4]) / 2**32)
    passed = (after - _EPOCH - phase) // every
    return _EPOCH + phase + every * (passed + 1)


def lags(source: str, schedule: Schedule, covered_until: datetime, now: datetime) -> bool:
    """Whether more than three of its moments have passed since it was last complete (POLLING, section 7)."""
    moment = covered_until
    for _ in range(_LAGS_AFTER + 1):
        moment = next_moment(source, schedule, moment)
    return moment <= now


def shortest(schedule: Schedule, ceiling: timedelta) -> timedelta:
    """`every` where it is shorter than the ceiling, for a first wait (CLARIFICATIONS, 11)."""
    return min(schedule.every or ceiling, ceiling)


def _every(schedule: Schedule) -> timedelta:
    return schedule.every or timedelta(seconds=60)
