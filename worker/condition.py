"""How an endpoint fares, and what an attempt does to it (DELIVERY, section 3). Pure: values in, values out.

After five failures in a row it is probed: one request at a time asks whether it still fails, less and less often. The
first 2xx opens it. Who fails without a break for too long is disabled, and that is told of on the way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from worker.backoff import doubled
from worker.delivery import Attempted, DeliveryStatus, Outcome, Trigger, Wire
from worker.notification import rfc3339

PROBED_AFTER = 5
"""Failures in a row, of any messages."""

GIVEN_UP_AFTER = 20
"""So few attempts are no reason to disable an endpoint, nor to warn of it, however long it fails."""

_FIRST_PROBE, _LONGEST_BETWEEN_PROBES = timedelta(seconds=5), timedelta(minutes=5)
_WARNINGS = (50, 90)


class Turn(StrEnum):
    """What changes for an endpoint, so that it is worth saying."""

    FAILING = "failing"
    WARNED = "warned"
    RECOVERED = "recovered"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An endpoint's state, as every worker knows it: the columns of its row that bear these names.

    `reason`: why it was disabled; of one that isn't, what its last attempt failed of. `warned`: the last percentage of
    the way to being disabled that was told of.
    """

    failures: int = 0
    failing_since: datetime | None = None
    slow_until: datetime | None = None
    slowed: int = 0
    probe_at: datetime | None = None
    probes: int = 0
    opening_since: datetime | None = None
    warned: int = 0
    disabled_at: datetime | None = None
    reason: str | None = None

    @property
    def shut_until(self) -> datetime | None:
        """Nothing is sent to it before: it asked to be left alone, or it is probed. Whichever is later holds."""
        return max((at for at in (self.slow_until, self.probe_at) if at), default=None)


@dataclass(frozen=True, slots=True)
class Turned:
    """An endpoint, what changed for it, and how it is now."""

    endpoint: str
    turn: Turn
    condition: Condition


def after(condition: Condition, one: Attempted, disable_after: timedelta | None, now: datetime) -> Condition:
    """How the endpoint fares after this attempt. `disable_after` None: it is never given up.

    A test by hand that fails is no failure of the row: a person who tries five times has nothing probed.
    """
    if one.verdict.status is DeliveryStatus.DELIVERED:
        return _taken(condition, one, now)
    by_hand = one.due.trigger is Trigger.TEST
    failed = _slowed(condition if by_hand else _failed(condition, one, now), one)
    return failed if failed.disabled_at else _given_up(failed, one, disable_after, now)


def turns(before: Condition, now: Condition) -> Iterator[Turn]:
    """What has changed so that it is worth saying."""
    if now.disabled_at:
        if not before.disabled_at:
            yield Turn.DISABLED
        return
    if now.probe_at and not before.probe_at:
        yield Turn.FAILING
    if now.warned > before.warned:
        yield Turn.WARNED
    if before.probe_at and not now.probe_at:
        yield Turn.RECOVERED


def spared(condition: Condition, one: Attempted, now: datetime, *, alone: bool = False) -> Attempted:
    """The attempt as it counts for its delivery, which came upon the endpoint in this condition.

    One that fails while the endpoint is probed, as a probe or because it was open already, says nothing of its message:
    it uses up no place in the schedule. Its delivery waits on, behind those that wait already, so that a message that
    is never taken is not the only one that is ever asked with.

    `alone`: there is nothing else to ask with. Then a probe that is due by the schedule counts as any retry, so that
    one message that is never taken comes to its end before the endpoint does.
    """
    failed = one.verdict.status is not DeliveryStatus.DELIVERED and one.verdict.disable_reason is None
    if not failed or condition.probe_at is None or one.due.trigger is Trigger.TEST:
        return one
    if alone and is_due_probe(one):
        return one
    waits_until = max(one.due.due_at or now, now)
    verdict = replace(one.verdict, status=DeliveryStatus.PENDING, next_attempt_at=waits_until, counts=False)
    return replace(one, verdict=verdict)


def is_due_probe(one: Attempted) -> bool:
    """Whether it asked with a delivery whose own time had come."""
    return one.due.probe and one.due.due_at is not None and one.due.due_at <= one.outcome.answered_at


def enabled(condition: Condition, now: datetime) -> Condition:
    """A person says that it works again. One that was probed until then is opened as one that has recovered.

    One that is opening goes on at the pace that it has come to.
    """
    if condition.opening_since:
        return Condition(opening_since=min(condition.opening_since, now))
    return Condition(opening_since=now if condition.failures >= PROBED_AFTER else None)


def _taken(condition: Condition, one: Attempted, now: datetime) -> Condition:
    """It works. A wait that it named itself outlasts the requests that were open when it did, and it opens after it."""
    kept = condition.disabled_at is not None or _named_its_wait(condition, one)
    slow_until = condition.slow_until if kept else None
    return Condition(
        slow_until=slow_until,
        disabled_at=condition.disabled_at,
        reason=condition.reason if condition.disabled_at else None,
        opening_since=max(now, slow_until or now) if condition.probe_at else condition.opening_since,
    )


def _named_its_wait(condition: Condition, one: Attempted) -> bool:
    if condition.slow_until is None or condition.slowed or one.due.trigger is Trigger.TEST:
        return False
    return one.outcome.started_at < condition.slow_until


def _failed(condition: Condition, one: Attempted, now: datetime) -> Condition:
    failures, disabled = condition.failures + 1, condition.disabled_at is not None
    failed = replace(
        condition,
        failures=failures,
        failing_since=condition.failing_since or one.outcome.started_at,
        reason=condition.reason if disabled else in_words(one.outcome),
    )
    if disabled or failures < PROBED_AFTER:
        return failed
    if condition.probe_at is None:
        return replace(failed, probe_at=now + _FIRST_PROBE, probes=0, opening_since=None)
    if one.due.probe:
        probes = condition.probes + 1
        return replace(failed, probes=probes, probe_at=now + doubled(probes, _FIRST_PROBE, _LONGEST_BETWEEN_PROBES))
    return failed


def _slowed(condition: Condition, one: Attempted) -> Condition:
    """Left alone until the latest instant that was asked for. One that is opening begins anew then."""
    if one.verdict.slow_until is None:
        return condition
    once_a_wait = one.outcome.retry_after is None and one.due.slowed == condition.slowed
    slow_until = max(condition.slow_until or one.verdict.slow_until, one.verdict.slow_until)
    return replace(
        condition,
        slow_until=slow_until,
        opening_since=max(condition.opening_since, slow_until) if condition.opening_since else None,
        slowed=condition.slowed + 1 if once_a_wait else condition.slowed,
    )


def _given_up(condition: Condition, one: Attempted, disable_after: timedelta | None, now: datetime) -> Condition:
    if one.verdict.disable_reason:
        return _disabled(condition, one.verdict.disable_reason, now)
    if disable_after is None or condition.failing_since is None or condition.failures < GIVEN_UP_AFTER:
        return condition
    gone = now - condition.failing_since
    if gone >= disable_after:
        since = f"nothing but failures since {rfc3339(condition.failing_since)}"
        return _disabled(condition, f"{since}: {condition.failures} attempts, the last {condition.reason}", now)
    told = max((warning for warning in _WARNINGS if gone * 100 >= disable_after * warning), default=0)
    return replace(condition, warned=max(condition.warned, told))


def _disabled(condition: Condition, reason: str, now: datetime) -> Condition:
    return replace(condition, disabled_at=now, reason=reason, probe_at=None, probes=0, opening_since=None)


def in_words(outcome: Outcome) -> str:
    """What an attempt came to, in a word or two."""
    return f"answered {outcome.status_code}" if outcome.wire is Wire.ANSWERED else outcome.wire.value.replace("_", " ")
