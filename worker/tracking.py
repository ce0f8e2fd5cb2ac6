"""Later changes: when what is still open is looked at again, and how (POLLING, section 4). Pure.

Open notifications lie in buckets: stretches of time of about one page of rows each. A bucket is read again after a
tenth of its age, so that a change is seen within about a tenth of the notification's age, for a few dozen requests
over its life. Rows younger than the overlap need no bucket: every pass reads them again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from worker.provider import Contract, Order, Window

LONGEST_INTERVAL = timedelta(hours=24)
_LONGEST_PUT_OFF = timedelta(hours=1)
_ABSENCES_TO_WITHDRAW = 2
_SHARE_OF_AGE = 0.1
_JITTER = 0.05


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch `[start_at, end_at)` of the provider's time; or, not `dated`, rows without one that we saw in it."""

    id: int
    start_at: datetime
    end_at: datetime
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A followed notification of a bucket, and in how many complete readings in a row it was absent."""

    external_id: str
    absences: int

    @property
    def absent_too_often(self) -> bool:
        """Whether one more absence means that the provider no longer has it."""
        return self.absences + 1 >= _ABSENCES_TO_WITHDRAW


class Way(Enum):
    """How buckets are read again."""

    NOT_AT_ALL = auto()
    BY_ID = auto()
    LISTED = auto()


def rounds(contract: Contract, due: Sequence[Bucket]) -> list[list[Bucket]]:
    """The buckets that are read together: each by itself, or all at once where no stretch of time can be asked for."""
    if read_together(contract):
        return [list(due)] if due else []
    return [[bucket] for bucket in due]


def read_together(contract: Contract) -> bool:
    """Whether the API can't be asked for a stretch of time, so that one reading does for all buckets."""
    return not (contract.filters_from and contract.filters_to)


def way(contract: Contract, together: Sequence[Bucket], members: int, *, list_is_long: bool) -> Way:
    """The cheapest way that the API allows. `list_is_long`: reading the list costs as much as asking for each member.

    A window costs one request, as a bucket is one page. What has no time is in no window.
    """
    if not members:
        return Way.NOT_AT_ALL
    if read_together(contract):
        return Way.BY_ID if contract.by_id and list_is_long else Way.LISTED
    if contract.by_id and (members == 1 or not together[0].dated):
        return Way.BY_ID
    return Way.LISTED if together[0].dated else Way.NOT_AT_ALL


def window(contract: Contract, together: Sequence[Bucket]) -> Window:
    """As much of the buckets' stretch as the API can be asked for, with a grain more at either end."""
    if not all(bucket.dated for bucket in together):
        return Window()
    start = min(bucket.start_at for bucket in together) - contract.grain
    end = max(bucket.end_at for bucket in together) + contract.grain
    return Window(start if contract.filters_from else None, end if contract.filters_to else None)


def passed(contract: Contract, together: Sequence[Bucket], oldest: datetime | None, overlap: timedelta) -> bool:
    """Whether a page this old has left the buckets behind: newest first, what follows is older still."""
    if contract.order is not Order.NEWEST_FIRST or oldest is None or not all(bucket.dated for bucket in together):
        return False
    return min(bucket.start_at for bucket in together) - oldest > overlap


def look_again_at(bucket: Bucket, every: timedelta, provider_now: datetime, now: datetime) -> datetime:
    """A tenth of the bucket's age from now, within `every` and a day.

    What is beyond `every` is up to a twentieth shorter, fixed by the bucket, so that buckets don't stay in step.
    """
    age = (provider_now if bucket.dated else now) - bucket.end_at
    interval = min(max(age * _SHARE_OF_AGE, every), LONGEST_INTERVAL)
    dice = hashlib.sha256(f"{bucket.id}".encode()).digest()[0] / 255
    return now + interval - max(interval - every, timedelta()) * _JITTER * dice


def try_again_at(bucket: Bucket, every: timedelta, provider_now: datetime, now: datetime) -> datetime:
    """After a reading that failed: as usual, but soon."""
    return min(look_again_at(bucket, every, provider_now, now), now + max(every, _LONGEST_PUT_OFF))
