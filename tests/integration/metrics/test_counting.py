"""What a process counts, as a Prometheus reads it."""

from datetime import timedelta
from random import Random

import pytest
from prometheus_client import generate_latest

from tests.fakes import AT, FakeClock, FakeSender, ScriptedProvider, answered, item, page
from tests.integration.metrics.scraped import samples
from tests.integration.store.desk import SCHEDULE, Desk
from worker import deliver, poll
from worker.deliver import Outbox, Rules
from worker.errors import ContractBroken, LeaseLost, RateLimited, Unavailable
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.meter import Ending, ending_of
from worker.metrics import Counting
from worker.moment import Schedule
from worker.webhooks.verdict import Policy


class Counted:
    """The two spines, counted."""

    def __init__(self, desk: Desk, clock: FakeClock) -> None:
        self.desk, self.clock, self.counting = desk, clock, Counting()

    def poll(self, provider: ScriptedProvider) -> None:
        subscription = Subscription(
            source="books",
            provider=provider,
            schedule=Schedule(timedelta(minutes=5)),
            overlap=timedelta(minutes=10),
            track_for=timedelta(days=30),
            interests=(Interest("erp"),),
        )
        world = Surroundings(self.desk.database, self.clock, Random(3), meter=self.counting)
        poll.poll(subscription, world, only_due=False)

    def deliver(self, sender: FakeSender) -> None:
        policies = {name: Policy(SCHEDULE) for name in self.desk.limits}
        rules = Rules(
            policies=policies, random=Random(3), clock=self.clock, may_begin=lambda: True, meter=self.counting
        )
        deliver.deliver_due(Outbox(database=self.desk.database, allowances=self.desk.limits), sender.as_sender, rules)

    @property
    def samples(self) -> dict[tuple[str, ...], float]:
        return samples(generate_latest(self.counting.registry).decode())

    def of(self, *key: str) -> float | None:
        return self.samples.get(key)


@pytest.fixture
def counted(desk: Desk, clock: FakeClock) -> Counted:
    return Counted(desk, clock)


def test_a_poll_is_counted_with_what_it_came_to(counted: Counted) -> None:
    counted.poll(ScriptedProvider([page(item("1"), item("2"), {"no": "id"}, last=True)]))
    names = ["polls", "pages", "items_fetched", "items_rejected", "notifications_new", "notifications_changed"]
    found = {
        name: [value for key, value in counted.samples.items() if key[0] == f"tocsin_{name}_total"] for name in names
    }
    assert found == {
        "polls": [1], "pages": [1], "items_fetched": [3], "items_rejected": [1], "notifications_new": [2],
        "notifications_changed": [0],
    }  # fmt: skip
    assert counted.of("tocsin_polls_total", "done", "books") == 1


def test_a_poll_that_fails_is_counted_by_whose_move_it_is(counted: Counted, clock: FakeClock) -> None:
    counted.poll(ScriptedProvider([page(item("1"), last=True)]))
    for error in (Unavailable("down"), RateLimited("slow down")):
        clock.turn(hours=2)
        with pytest.raises(type(error)):
            counted.poll(ScriptedProvider([error]))
    found = {key[1]: value for key, value in counted.samples.items() if key[0] == "tocsin_polls_total"}
    assert found == {"done": 1, "unavailable": 1, "rate_limited": 1}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LeaseLost("source a"), Ending.LEASE_LOST),
        (ContractBroken("x"), Ending.CONTRACT_BROKEN),
        (KeyError("x"), Ending.FAULT),
    ],
)
def test_each_way_to_fail_has_a_word(error: Exception, expected: Ending) -> None:
    assert ending_of(error) is expected


def test_what_was_there_before_the_first_reading_waited_for_nobody(counted: Counted, clock: FakeClock) -> None:
    counted.poll(ScriptedProvider([page(item("1", at=AT), last=True)]))
    assert counted.of("tocsin_occurred_to_seen_seconds_count", "books") is None
    clock.turn(minutes=5)
    late = AT + timedelta(minutes=4)
    counted.poll(ScriptedProvider([page(item("2", at=late), last=True)]))
    assert counted.of("tocsin_occurred_to_seen_seconds_count", "books") == 1
    assert counted.of("tocsin_occurred_to_seen_seconds_sum", "books") == 60


def test_every_page_is_timed_to_its_commit(counted: Counted) -> None:
    counted.poll(ScriptedProvider([page(item("1"), item("2"), item("3")), page(item("4"), last=True)]))
    assert counted.of("tocsin_seen_to_stored_seconds_count") == 2


def test_an_attempt_is_counted_by_endpoint_outcome_and_verdict(counted: Counted, clock: FakeClock) -> None:
    counted.poll(ScriptedProvider([page(item("1"), last=True)]))
    counted.deliver(FakeSender(clock, lambda _: answered(500, clock())))
    clock.turn(minutes=1)
    counted.deliver(FakeSender(clock, lambda _: answered(200, clock())))
    found = {key[1:]: value for key, value in counted.samples.items() if key[0] == "tocsin_attempts_total"}
    assert found == {("erp", "5xx", "pending"): 1, ("erp", "2xx", "delivered"): 1}
    assert counted.of("tocsin_attempt_seconds_count", "erp") == 2


def test_the_clocks_run_from_stored_to_the_first_attempt_and_to_delivered(counted: Counted, clock: FakeClock) -> None:
    counted.poll(ScriptedProvider([page(item("1"), last=True)]))
    clock.turn(seconds=3)
    counted.deliver(FakeSender(clock, lambda _: answered(500, clock())))
    clock.turn(seconds=57)
    counted.deliver(FakeSender(clock, lambda _: answered(200, clock())))
    first = "tocsin_stored_to_first_attempt_seconds"
    assert (counted.of(f"{first}_count", "erp"), counted.of(f"{first}_sum", "erp")) == (1, pytest.approx(2.88))
    whole = "tocsin_stored_to_delivered_seconds"
    assert (counted.of(f"{whole}_count", "erp"), counted.of(f"{whole}_sum", "erp")) == (1, 60)


def test_what_was_asked_for_by_hand_is_counted_and_not_timed_from_its_making(
    counted: Counted, clock: FakeClock
) -> None:
    counted.poll(ScriptedProvider([page(item("1"), last=True)]))
    counted.deliver(FakeSender(clock, lambda _: answered(200, clock())))
    clock.turn(days=30)
    counted.desk.redeliver(1, now=clock())
    counted.deliver(FakeSender(clock, lambda _: answered(200, clock())))
    assert counted.of("tocsin_attempts_total", "erp", "2xx", "delivered") == 2
    assert counted.of("tocsin_stored_to_delivered_seconds_count", "erp") == 1


def test_every_series_is_ours_and_explained(counted: Counted) -> None:
    text = generate_latest(counted.counting.registry).decode()
    named = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    assert named
    assert [] == [name for name in named if not name.startswith("tocsin_")]
    assert [] == [line for line in text.splitlines() if line.startswith("# HELP") and len(line.split()) < 5]
