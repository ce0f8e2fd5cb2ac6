"""An endpoint that is down for six hours, by a clock that is turned."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.fakes import AT, item
from tests.integration.store.desk import Desk
from worker.delivery import Due
from worker.store.tables import Attempt

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
BACK_AT = AT + 6 * HOUR
NOTIFICATIONS, STATES = 5_000, ("new", "read")
IN_FLIGHT = 600


@dataclass
class Outage:
    """The worker of one endpoint, `erp`, which answers 500 until it is back."""

    desk: Desk
    arrived: list[tuple[datetime, Due]] = field(default_factory=list)

    def publish(self) -> None:
        """10,000 messages: half of them before the outage was noticed, half in the midst of it."""
        for number, state in enumerate(STATES):
            at = self.desk.now + number * SECOND
            for begin in range(0, NOTIFICATIONS, 500):
                self.desk.store(*(item(f"n{begin + one}", state) for one in range(500)), now=at)

    def sweep(self) -> None:
        """All that may be sent now is sent and answered."""
        now = self.desk.now
        while due := self.desk.claim(most=500):
            self.desk.record([self.desk.judged(one, 204 if now >= BACK_AT else 500) for one in due])
            if now >= BACK_AT:
                self.arrived += [(now, one) for one in due]

    def run_until(self, end: datetime) -> None:
        """From one instant at which something may be due to the next."""
        while self.desk.now < end:
            self.sweep()
            due_at = self.desk.endpoint_row("erp").due_at
            self.desk.now = max(self.desk.now + SECOND, min(due_at or end, end))

    @property
    def each_second(self) -> list[int]:
        """How many arrived in each second after the first that arrived."""
        first = self.arrived[0][0]
        counts = Counter((at - first) // SECOND for at, _ in self.arrived[1:])
        return [counts[second] for second in range(max(counts) + 1)]


def test_six_hours_of_outage_cost_few_attempts_and_then_all_arrive_in_order_at_a_pace_that_doubles(desk: Desk) -> None:
    desk.endpoint("erp", max_in_flight=IN_FLIGHT)
    outage = Outage(desk)
    desk.store(*(item(f"first{number}") for number in range(7)))
    outage.sweep()
    outage.publish()
    outage.run_until(BACK_AT)
    assert outage.arrived == []
    assert 70 <= len(desk.rows(Attempt)) < 200

    outage.run_until(BACK_AT + HOUR)
    rows = desk.deliveries()
    assert {row.status for row in rows} == {"delivered"}
    assert len(outage.arrived) == len(rows) == len(STATES) * NOTIFICATIONS + 7
    assert outage.each_second[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]

    # Five failures are how an outage is noticed; they count, and nothing after them does.
    assert sum(row.attempts for row in rows) == len(rows) + 5
    assert {row.attempts for row in rows if row.revision == 2} == {1}
    revisions = {row.id: row.revision for row in rows}
    seen: dict[str | None, list[int]] = {}
    for _, due in outage.arrived:
        seen.setdefault(due.notification_id, []).append(revisions[due.delivery_id])
    assert {tuple(its) for its in seen.values()} == {(1,), (1, 2)}
