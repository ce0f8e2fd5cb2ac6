"""What the two sides of delivery tell each other: what is due, what happened, what follows from it.

`str` of any of these words is the word as it is stored; `value` is it too, and takes five times as long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_MILLISECOND = timedelta(milliseconds=1)


class DeliveryStatus(StrEnum):
    """`pending → delivered | exhausted | skipped` (DESIGN, section 4)."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    SKIPPED = "skipped"


class Trigger(StrEnum):
    """Why an attempt is made. A probe asks whether a failing endpoint still fails, with whatever delivery."""

    FIRST = "first"
    RETRY = "retry"
    REDELIVERY = "redelivery"
    REPLAY = "replay"
    TEST = "test"
    PROBE = "probe"


class Wire(StrEnum):
    """What happened on the wire: an answer with a status, or why there was none."""

    ANSWERED = "answered"
    TIMEOUT = "timeout"
    UNRESOLVED = "unresolved"
    REFUSED = "refused"
    BAD_CERTIFICATE = "bad_certificate"
    BROKEN_OFF = "broken_off"
    BLOCKED = "blocked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One claimed delivery, with all that sending and judging it needs.

    `attempt` is the number of the attempt to be made, over the delivery's whole life; `round` counts those since it was
    last owed (at first, by redelivery or by replay), and is what the retry schedule goes by. `claimed_until` is when
    others may take it; a request that could last longer is not begun. `slowed` is how many times in a row the endpoint
    asked to be left alone. `due_at` is since when it is due; a probe may be made before. `probe`: it asks whether the
    endpoint still fails.
    """

    delivery_id: int
    message_id: str
    endpoint: str
    body: bytes
    attempt: int
    round: int
    trigger: Trigger
    slowed: int
    claim_token: str
    claimed_until: datetime
    source: str | None
    notification_id: str | None
    made_at: datetime
    due_at: datetime | None = None
    probe: bool = False

    @property
    def made_as(self) -> Trigger:
        """Why this attempt is made. A delivery that was owed again by hand stays so; its later attempts are retries."""
        if self.probe:
            return Trigger.PROBE
        return Trigger.RETRY if self.trigger is Trigger.REDELIVERY and self.round > 1 else self.trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened to one attempt. `answered_at` is when the answer's status arrived, else when it was given up.

    `response_excerpt`: the first 4 KiB of the answer's body as text.
    `retry_after` is what the answer asked for, uncapped.
    """

    wire: Wire
    started_at: datetime
    answered_at: datetime
    duration: timedelta
    status_code: int | None = None
    response_excerpt: str | None = None
    retry_after: timedelta | None = None

    @property
    def milliseconds(self) -> int:
        """How long it took, in whole ones."""
        return self.duration // _MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an outcome means: for the delivery, and for its endpoint (left alone until, or disabled with a reason).

    `counts`: whether the attempt uses up its number and its place in the retry schedule.
    """

    status: DeliveryStatus
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    slow_until: datetime | None = None
    disable_reason: str | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt, sent and judged; what is recorded."""

    due: Due
    outcome: Outcome
    verdict: Verdict
