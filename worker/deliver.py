"""The delivery spine: claim, send, judge, record, until nothing is due (DESIGN, section 3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import structlog

from worker.delivery import Attempted, Due, Outcome
from worker.store import claims, recording
from worker.store.claims import Allowance
from worker.store.session import Database
from worker.webhooks.sender import Sender
from worker.webhooks.verdict import Policy, judge

_WAIT = timedelta(milliseconds=50)
_log = structlog.get_logger("deliver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """The store's side of delivery: each call is one short transaction, and none is open while requests are."""

    database: Database
    allowances: Mapping[str, Allowance]

    def claim(self, most: int, now: datetime) -> list[Due]:
        """Due deliveries, ours for a while."""
        with self.database.reading() as session:
            if not claims.anything_due(session, now):
                return []
        with self.database.transaction() as session:
            return claims.claim(session, self.allowances, most, now)

    def record(self, attempted: list[Attempted], now: datetime) -> list[Attempted]:
        """Write down what was attempted; those whose claim was lost are left out, and do not come back."""
        with self.database.transaction() as session:
            return recording.record(session, attempted, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How outcomes are judged, and until when new deliveries are begun."""

    policies: Mapping[str, Policy]
    random: Random
    clock: Callable[[], datetime]
    may_begin: Callable[[], bool]


def deliver_due(outbox: Outbox, sender: Sender, rules: Rules) -> int:
    """Deliver what is due, until nothing is and nothing is open. Returns the number of attempts recorded.

    Claims go on while requests are open, so that no endpoint waits for another's slow answers.
    """
    recorded = 0
    while True:
        if sender.room and rules.may_begin():
            sender.begin(outbox.claim(sender.room, rules.clock()))
        if not sender.open:
            return recorded
        if ended := sender.finished(_WAIT):
            recorded += _record(outbox, [attempted(due, outcome, rules) for due, outcome in ended], rules.clock())


def attempted(due: Due, outcome: Outcome, rules: Rules) -> Attempted:
    """The attempt, judged."""
    verdict = judge(outcome, due, rules.policies[due.endpoint], rules.clock(), rules.random)
    return Attempted(due, outcome, verdict)


def _record(outbox: Outbox, judged: list[Attempted], now: datetime) -> int:
    written = outbox.record(judged, now)
    for one in written:
        _tell(one)
    if len(written) < len(judged):
        _log.warning("delivery.claim_lost", count=len(judged) - len(written))
    return len(written)


def _tell(one: Attempted) -> None:
    """One line with every decision in it (DELIVERY, section 6)."""
    _log.info(
        "delivery.attempted",
        source=one.due.source,
        notification=one.due.notification_id,
        message=one.due.message_id,
        endpoint=one.due.endpoint,
        attempt=one.due.attempt,
        trigger=one.due.trigger.value,
        outcome=one.outcome.wire.value,
        status=one.outcome.status_code,
        ms=one.outcome.duration // timedelta(milliseconds=1),
        verdict=one.verdict.status.value,
        next_attempt_at=one.verdict.next_attempt_at,
    )
