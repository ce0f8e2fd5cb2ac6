"""The delivery spine: claim, send, judge, record, until nothing is due (DESIGN, section 3)."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from threading import Event, Lock

import structlog

from worker.announce import Endpoints
from worker.condition import Turn, Turned
from worker.delivery import Attempted, Due, Outcome
from worker.meter import UNMETERED, Meter
from worker.store import claims, recording
from worker.store.patience import patiently
from worker.store.rooms import Allowance, Slots
from worker.store.session import PASSING, Database
from worker.webhooks.sender import Sender
from worker.webhooks.verdict import Policy, judge

_WAIT = timedelta(milliseconds=50)
_MANY = 50
_log = structlog.get_logger("deliver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """The store's side of delivery: each call is one short transaction, and none is open while requests are.

    `endpoints` says who is told of endpoints that fail, and for how long each may. `pulse` is told of every look for
    what is due.
    """

    database: Database
    allowances: Mapping[str, Allowance]
    endpoints: Endpoints = field(default_factory=Endpoints)
    pulse: Callable[[datetime], None] = lambda _: None

    def claim(
        self, slots: Slots, now: datetime, without: Collection[str] = (), *, expecting: bool = False
    ) -> list[Due]:
        """Due deliveries, ours for a while, as many as there are slots for; none of those endpoints.

        Unless that is `expecting` some, it first looks whether there are any, which costs less.
        """
        shut = slots.full.union(without)
        allowances = {name: one for name, one in self.allowances.items() if name not in shut}
        if not allowances or slots.free <= 0:
            return []
        if not expecting and not claims.anything_due(self.database, allowances, now):
            return []
        with self.database.transaction(first=True) as session:
            return claims.claim(session, allowances, slots, now)

    def slots(self, limit: int, open_now: Mapping[str, int]) -> Slots:
        """Requests that may be open at once; all for one where there is but one endpoint."""
        return Slots.among_many(limit, open_now) if len(self.allowances) > 1 else Slots(limit, open_now)

    def record(self, attempted: list[Attempted], now: datetime) -> list[Attempted]:
        """Write down what was attempted; those whose claim was lost are left out, and do not come back.

        What turned for an endpoint is owed to whom it concerns in the same transaction, and logged after it. What
        was sent and isn't written down is sent again, so a database that is away for a moment is waited for.
        """
        written, turned = patiently(lambda: self._write(attempted, now))
        for one in turned:
            _tell_turned(one)
        return written

    def _write(self, attempted: list[Attempted], now: datetime) -> tuple[list[Attempted], list[Turned]]:
        turned: list[Turned] = []
        with self.database.transaction(first=True) as session:
            return recording.record(session, attempted, now, self.endpoints.watch(turned, now)), turned


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How outcomes are judged, until when new deliveries are begun, and who counts them.

    `may_begin`: false, and nothing new is begun. `is_ending`: true, and the sweep sees to its end, without keeping
    anybody waiting for it.
    """

    policies: Mapping[str, Policy]
    random: Random
    clock: Callable[[], datetime]
    may_begin: Callable[[], bool]
    is_ending: Callable[[], bool] = lambda: False
    meter: Meter = UNMETERED


class OneSweep:
    """One sweep at a time in a process. Whoever asks for one meanwhile wakes it, and has it look when it has ended.

    Else what was owed after its last look would wait for answers, or for the schedule's next sweep.
    """

    def __init__(self) -> None:
        self._one, self._asked_for = Lock(), Event()

    def of(self, sweep: Callable[[], int], wake: Callable[[], object], is_over: Callable[[], bool]) -> int:
        """The attempts made; none where it goes on elsewhere, and is woken.

        It looks again for those who asked, also after a sweep that raised, whose error is raised at the end; not once
        it `is_over`, so that a task has an end though others keep asking: the next one to ask sweeps.
        """
        made, failed = 0, None
        self._asked_for.set()
        while self._asked_for.is_set():
            if not self._one.acquire(blocking=False):
                wake()
                break
            try:
                self._asked_for.clear()
                made += sweep()
            except Exception as error:  # noqa: BLE001  # it is raised when nobody waits for a sweep any more
                failed = error
            finally:
                self._one.release()
            if is_over():
                break
        if failed:
            raise failed
        return made


def deliver_due(outbox: Outbox, sender: Sender, rules: Rules) -> int:
    """Deliver what is due, until nothing is and nothing is open. Returns the number of attempts recorded.

    Claims go on while requests are open, so that no endpoint waits for another's slow answers. So it is while a sweep
    comes to its end: what was open then may take its time, and whoever has nothing of that open still gets more. In
    trouble with the database, what is open still ends and is recorded.
    """
    recorded, claimed, begun_before = 0, 0, Counter[str]()
    while True:
        try:
            claimed = _begin(outbox, sender, rules, begun_before, expecting=claimed >= _MANY)
        except PASSING:
            if not sender.open:
                raise
        if not sender.open:
            return recorded
        if ended := sender.finished(_WAIT):
            begun_before -= Counter(due.endpoint for due, _ in ended)
            now = rules.clock()
            recorded += _record(outbox, [attempted(due, outcome, rules, now) for due, outcome in ended], rules)


def _begin(outbox: Outbox, sender: Sender, rules: Rules, begun_before: Counter[str], *, expecting: bool) -> int:
    """Claim what is due, and begin it; how many. `begun_before`: what is open of what was begun before the sweep's end.

    `expecting`: so much was due a moment ago that more will be.
    """
    outbox.pulse(rules.clock())
    ending = rules.is_ending()
    if not sender.room or not rules.may_begin() or (ending and not begun_before):
        return 0
    slots = outbox.slots(sender.limit, sender.open_by_endpoint)
    claimed = outbox.claim(slots, rules.clock(), begun_before if ending else (), expecting=expecting)
    begun = sender.begin(claimed)
    begun_before.update(one.endpoint for one in begun if not ending)
    if len(begun) < len(claimed):
        _log.warning("delivery.not_begun", count=len(claimed) - len(begun), why="their claim ends too soon")
    return len(claimed)


def attempted(due: Due, outcome: Outcome, rules: Rules, now: datetime) -> Attempted:
    """The attempt, judged."""
    return Attempted(due, outcome, judge(outcome, due, rules.policies[due.endpoint], now, rules.random))


def _record(outbox: Outbox, judged: list[Attempted], rules: Rules) -> int:
    written = outbox.record(judged, rules.clock())
    for one in written:
        rules.meter.attempted(one)
        _tell(one)
    if len(written) < len(judged):
        _log.warning("delivery.claim_lost", count=len(judged) - len(written))
    return len(written)


def _tell_turned(one: Turned) -> None:
    """One line for each turn in how an endpoint fares."""
    fares = one.condition
    if one.turn is Turn.RECOVERED:
        _log.info("endpoint.recovered", endpoint=one.endpoint)
    elif one.turn is Turn.WARNED:
        _log.warning("endpoint.warned", endpoint=one.endpoint, percent=fares.warned, failing_since=fares.failing_since)
    else:
        told = _log.error if one.turn is Turn.DISABLED else _log.warning
        told(f"endpoint.{one.turn.value}", endpoint=one.endpoint, reason=fares.reason, failures=fares.failures)


def _tell(one: Attempted) -> None:
    """One line with every decision in it (DELIVERY, section 6)."""
    due, outcome = one.due, one.outcome
    _log.info(
        "delivery.attempted",
        source=due.source,
        notification=due.notification_id,
        message=due.message_id,
        endpoint=due.endpoint,
        attempt=due.attempt,
        trigger=str(due.made_as),
        outcome=str(outcome.wire),
        status=outcome.status_code,
        ms=outcome.milliseconds,
        verdict=str(one.verdict.status),
        next_attempt_at=one.verdict.next_attempt_at,
    )
