from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from tests.fakes import AT, FakeClock, FakeSender, ScriptedProvider, answered, item, page
from tests.integration.spines.line import Line
from tests.integration.store.desk import LEASE
from worker.delivery import Due, Outcome
from worker.store.tables import Attempt, Delivery

KEYS = {
    "event", "log_level", "source", "notification", "message", "endpoint", "attempt", "trigger", "outcome", "status",
    "ms", "verdict", "next_attempt_at",
}  # fmt: skip


def _receiver(clock: FakeClock, *statuses: int, limit: int = 500) -> FakeSender:
    """One that answers so in turn, and for ever as the last time."""
    left = list(statuses)

    def answer(_due: Due) -> Outcome:
        return answered(left.pop(0) if len(left) > 1 else left[0], clock())

    return FakeSender(clock, answer, limit)


def _statuses(line: Line) -> list[str]:
    return [row.status for row in line.desk.deliveries()]


@pytest.fixture
def owed(line: Line) -> Line:
    """A line on which five deliveries are due."""
    line.desk.store(*(item(f"n{number}") for number in range(5)))
    return line


def test_nothing_due_is_nothing_done(line: Line, clock: FakeClock) -> None:
    sender = _receiver(clock, 200)
    assert (line.deliver(sender), sender.begun) == (0, [])


def test_all_that_is_due_is_delivered_and_nothing_is_left_open(owed: Line, clock: FakeClock) -> None:
    sender = _receiver(clock, 200)
    assert (owed.deliver(sender), sender.open) == (5, 0)
    assert _statuses(owed) == ["delivered"] * 5
    assert owed.deliver(sender) == 0


def test_no_more_are_begun_than_there_is_room_for(owed: Line, clock: FakeClock) -> None:
    assert owed.deliver(_receiver(clock, 200, limit=2)) == 5
    assert _statuses(owed) == ["delivered"] * 5


def test_each_attempt_is_judged_and_recorded(owed: Line, clock: FakeClock) -> None:
    owed.deliver(_receiver(clock, 200, 500, 404, 301, 200))
    assert _statuses(owed) == ["delivered", "pending", "pending", "pending", "delivered"]
    assert [attempt.status_code for attempt in owed.desk.rows(Attempt)] == [200, 500, 404, 301, 200]


def test_claiming_goes_on_while_answers_are_awaited(owed: Line, clock: FakeClock) -> None:
    class Slow(FakeSender):
        looks = 0

        def finished(self, wait: timedelta) -> list[tuple[Due, Outcome]]:
            self.looks += 1
            if self.looks == 1:
                owed.desk.store(item("while it waits"))
                return []
            return super().finished(wait)

    sender = Slow(clock, lambda _due: answered(200, clock()))
    owed.deliver(sender)
    assert (sender.looks, len(sender.begun)) == (2, 6)


def test_a_revision_follows_the_one_before_in_the_same_sweep(line: Line, clock: FakeClock) -> None:
    for state in ("new", "read", "resolved"):
        line.desk.store(item("a", state))
    sender = _receiver(clock, 200)
    line.deliver(sender)
    assert [due.message_id for due in sender.begun] == [row.message_id for row in line.desk.deliveries()]


def test_what_may_not_begin_stays_due(owed: Line, clock: FakeClock) -> None:
    assert owed.deliver(_receiver(clock, 200), may_begin=lambda: False) == 0
    assert len(owed.desk.claim()) == 5


def test_what_is_open_is_finished_when_nothing_may_begin(owed: Line, clock: FakeClock) -> None:
    sender = _receiver(clock, 200, limit=2)
    turns = iter([True])
    assert owed.deliver(sender, may_begin=lambda: next(turns, False)) == 2
    assert sorted(_statuses(owed)) == ["delivered"] * 2 + ["pending"] * 3
    assert sender.open == 0


def test_what_an_earlier_sweep_left_open_is_finished(owed: Line, clock: FakeClock) -> None:
    sender = _receiver(clock, 200)
    sender.begin(owed.desk.claim(most=3))
    assert owed.deliver(sender, may_begin=lambda: False) == 3


def test_an_attempt_is_told_in_one_line_with_every_decision(line: Line, clock: FakeClock) -> None:
    line.poll(ScriptedProvider([page(item("a", text="the body's text"), last=True)]))
    with capture_logs() as logs:
        line.deliver(_receiver(clock, 503))
    (told,) = logs
    (row,) = line.desk.rows(Delivery)
    assert set(told) == KEYS
    assert (told["event"], told["source"], told["endpoint"]) == ("delivery.attempted", "books", "erp")
    assert (told["message"], told["notification"]) == (row.message_id, str(row.notification_id))
    assert (told["attempt"], told["trigger"], told["outcome"], told["status"]) == (1, "first", "answered", 503)
    assert (told["ms"], told["verdict"], told["next_attempt_at"]) == (120, "pending", row.next_attempt_at)
    assert not {"the body's text", "thanks"} & set(map(str, told.values()))


def test_a_probe_is_told_as_one_and_its_delivery_as_due_still(owed: Line, clock: FakeClock) -> None:
    with capture_logs() as logs:
        owed.deliver(_receiver(clock, 500))
        owed.desk.store(item("waits"))
        clock.turn(seconds=5)
        owed.deliver(_receiver(clock, 500))
    told = [entry for entry in logs if entry["event"] == "delivery.attempted"]
    assert [entry["trigger"] for entry in told] == ["first"] * 5 + ["probe"]
    assert (told[5]["attempt"], told[5]["verdict"], told[5]["next_attempt_at"]) == (1, "pending", clock())
    assert [entry["event"] for entry in logs if entry not in told] == ["endpoint.failing"]


def test_a_claim_that_was_lost_is_told_and_not_counted(owed: Line, clock: FakeClock) -> None:
    def slow(_due: Due) -> Outcome:
        if clock() == AT:
            clock.turn(seconds=LEASE.total_seconds())
            owed.desk.claim(most=2, now=clock())
        return answered(200, clock())

    with capture_logs() as logs:
        assert owed.deliver(FakeSender(clock, slow)) == 3
    assert [entry["count"] for entry in logs if entry["event"] == "delivery.claim_lost"] == [2]


def test_a_slow_endpoint_does_not_hold_up_another(line: Line, clock: FakeClock) -> None:
    line.desk.endpoint("crm")
    line.desk.store(*(item(f"n{number}") for number in range(4)))

    def answer(due: Due) -> Outcome:
        return answered(503 if due.endpoint == "erp" else 200, clock())

    line.deliver(FakeSender(clock, answer, limit=2))
    fates = {(row.endpoint_id, row.status) for row in line.desk.deliveries()}
    assert fates == {(1, "pending"), (2, "delivered")}


def test_everything_arrives_in_the_end(owed: Line, clock: FakeClock) -> None:
    until: datetime = AT + timedelta(minutes=6)
    sender = FakeSender(clock, lambda _due: answered(200 if clock() > until else 500, clock()))
    for _ in range(8):
        owed.deliver(sender)
        clock.turn(minutes=2)
    assert _statuses(owed) == ["delivered"] * 5
