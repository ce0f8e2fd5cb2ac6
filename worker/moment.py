"""When a source is polled: its moment within `every`, or the next one of `cron` (POLLING, section 5). Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAGS_AFTER = 3
_CRON_GRAIN = timedelta(minutes=1)
_GIVES_UP_AFTER = timedelta(days=50 * 365)
_SHORTEST_TICK, _LONGEST_TICK = timedelta(seconds=1), timedelta(seconds=5)
_TICKS_AN_INTERVAL = 10
_FEW = 10


@dataclass(frozen=True, slots=True)
class Schedule:
    """A source's schedule: `every`, or `cron` in a time zone; exactly one of the two."""

    every: timedelta | None = None
    cron: str | None = None
    timezone: str = "UTC"

    @property
    def interval(self) -> timedelta:
        """How long it is between polls; with `cron`, at least."""
        return self.every or _CRON_GRAIN

    @property
    def words(self) -> str:
        """What tells it from any other schedule."""
        return f"cron {self.cron} {self.timezone}" if self.cron else f"every {self.interval}"


def next_moment(source: str, schedule: Schedule, after: datetime) -> datetime:
    """The first moment after `after`; missed ones are skipped.

    With `every`, the moment within the interval is fixed by the name, so that a thousand sources don't wake together.
    With `cron`, daylight saving is as in Debian's cron: a skipped hour's moment comes right after it, none comes twice.
    """
    if schedule.cron is not None:
        return _next_of_cron(schedule.cron, ZoneInfo(schedule.timezone), after)
    every = schedule.interval
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


def tick(schedules: Iterable[Schedule]) -> timedelta:
    """How often sources of these schedules, at least one, are looked through for those that are due.

    Ten times in the shortest interval, and so often that no look finds more than a few: many at once would make waves
    of what their moments spread evenly. From 1 s to 5 s.
    """
    intervals = [schedule.interval / timedelta(seconds=1) for schedule in schedules]
    for_few = _FEW / sum(1 / interval for interval in intervals)
    wanted = timedelta(seconds=min(for_few, min(intervals) / _TICKS_AN_INTERVAL))
    return max(_SHORTEST_TICK, min(wanted, _LONGEST_TICK))


def _next_of_cron(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Where an hour comes twice, CronSim gives moments of its first time also to whoever asks in its second.

    After a change of half an hour (Lord Howe Island has one) it may leave out the moments of an hour; polls catch up.
    """
    for zoned in CronSim(cron, after.astimezone(zone)):
        moment = zoned.astimezone(UTC)
        if moment > after:
            return moment
    return after + _GIVES_UP_AFTER  # as CronSim does; the configuration refuses what never comes
