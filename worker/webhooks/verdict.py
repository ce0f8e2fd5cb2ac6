"""What an answer means for its delivery and its endpoint: the table of INTERFACE, section 4, as data."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from random import Random

from worker.backoff import doubled, lengthened
from worker.delivery import DeliveryStatus, Due, Outcome, Trigger, Verdict, Wire

_LONGEST_RETRY_AFTER = timedelta(hours=24)
_FIRST_SLOW, _LONGEST_SLOW = timedelta(seconds=5), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient we are with an endpoint: the waits after attempts 1, 2, 3 … of a round."""

    retry_schedule: tuple[timedelta, ...]


class Meaning(Enum):
    """What an answer says, whoever gives it."""

    TAKEN = auto()
    GONE = auto()
    SLOW_DOWN = auto()
    NOT_TAKEN = auto()


_STATUSES: tuple[tuple[range, Meaning], ...] = (
    (range(200, 300), Meaning.TAKEN),
    (range(410, 411), Meaning.GONE),
    (range(429, 430), Meaning.SLOW_DOWN),
    (range(502, 505), Meaning.SLOW_DOWN),
)
"""Any other status, redirects among them, is a failed attempt; so is all that was no complete answer."""

_MEANINGS = {status: meaning for statuses, meaning in _STATUSES for status in statuses}


def meaning_of(outcome: Outcome) -> Meaning:
    """The row of the table that this outcome falls into."""
    if outcome.wire is not Wire.ANSWERED or outcome.status_code is None:
        return Meaning.NOT_TAKEN
    return _MEANINGS.get(outcome.status_code, Meaning.NOT_TAKEN)


def judge(outcome: Outcome, due: Due, policy: Policy, now: datetime, random: Random) -> Verdict:
    """The verdict on one attempt; a value that someone else acts on.

    - Taken: delivered when the status arrived.
    - Gone: the delivery waits, at its place in the schedule, until the endpoint is enabled again.
    - Slow down: a failed attempt, and the whole endpoint is left alone until `slow_until`.
    - Failed: due again after the schedule's wait and up to 20 % more, never less, and not before `slow_until`; after
      the last wait it is exhausted. A test is never tried again.
    """
    meaning = meaning_of(outcome)
    if meaning is Meaning.TAKEN:
        return Verdict(status=DeliveryStatus.DELIVERED, delivered_at=outcome.answered_at)
    reason = "answered 410 Gone" if meaning is Meaning.GONE else None
    slow_until = now + _slow_for(outcome, due) if meaning is Meaning.SLOW_DOWN else None
    if due.trigger is Trigger.TEST:
        return Verdict(status=DeliveryStatus.EXHAUSTED, slow_until=slow_until, disable_reason=reason)
    if meaning is Meaning.GONE:
        return Verdict(status=DeliveryStatus.PENDING, next_attempt_at=now, disable_reason=reason, counts=False)
    if due.round > len(policy.retry_schedule):
        return Verdict(status=DeliveryStatus.EXHAUSTED, slow_until=slow_until)
    again_at = now + lengthened(policy.retry_schedule[max(due.round, 1) - 1], random)
    if slow_until:
        again_at = max(again_at, slow_until)
    return Verdict(status=DeliveryStatus.PENDING, next_attempt_at=again_at, slow_until=slow_until)


def _slow_for(outcome: Outcome, due: Due) -> timedelta:
    """What the answer asked for, up to a day; else 5 s, doubling to 5 min (CLARIFICATIONS, 10)."""
    if outcome.retry_after is not None:
        return min(outcome.retry_after, _LONGEST_RETRY_AFTER)
    return doubled(due.slowed, _FIRST_SLOW, _LONGEST_SLOW)
