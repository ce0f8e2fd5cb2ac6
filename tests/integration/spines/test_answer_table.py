"""What the answer means: the table of INTERFACE, section 4, row by row, over real sockets; the clock is passed.

A real store, a real sender and a receiver that answers as the row says. What is checked is what is left in the store;
that both databases keep it alike is tested elsewhere.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import pytest

from tests.fakes import FakeClock, item
from tests.integration.store.desk import Desk
from tests.integration.webhooks.receivers import (
    Receiver,
    Script,
    Visit,
    answering,
    hanging,
    hanging_up,
    resetting,
    saying,
    trickling,
)
from tests.integration.webhooks.sending import LOOPBACK
from worker import deliver
from worker.deliver import Outbox, Rules
from worker.settings.endpoint import DeliverySettings
from worker.store.session import Database
from worker.store.tables import Attempt, Delivery, EndpointRow
from worker.webhooks.guard import Network
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target
from worker.webhooks.verdict import Policy

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SCHEDULE = DeliverySettings().retry_schedule
FIRST_WAIT = SCHEDULE[0]
JITTER = 1.2
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOWING = [429, 502, 503, 504]


@dataclass
class Counter:
    """The endpoint `erp` behind a script, with its store, sender and clock."""

    desk: Desk
    clock: FakeClock
    sender: Sender
    receiver: Receiver

    def deliver(self) -> int:
        rules = Rules(policies={"erp": Policy(SCHEDULE)}, random=Random(4), clock=self.clock, may_begin=lambda: True)
        return deliver.deliver_due(Outbox(database=self.desk.database, allowances=self.desk.limits), self.sender, rules)

    def owe(self, name: str = "n1") -> None:
        self.desk.store(item(name), now=self.clock())

    @property
    def row(self) -> Delivery:
        """The first delivery."""
        return self.desk.deliveries()[0]

    @property
    def endpoint(self) -> EndpointRow:
        return self.desk.endpoint_row("erp")

    @property
    def wait(self) -> timedelta:
        """Until the first delivery is due again."""
        assert self.row.next_attempt_at is not None
        return self.row.next_attempt_at - self.clock()


@dataclass
class Opened:
    """Opens counters; `enter` keeps whatever else a test starts."""

    desk: Desk
    clock: FakeClock
    stack: ExitStack

    def __call__(self, script: Script, url: str | None = None, networks: tuple[Network, ...] = LOOPBACK) -> Counter:
        receiver = self.stack.enter_context(Receiver(script))
        target = Target(
            name="erp",
            url=url or receiver.url,
            secrets=(b"k" * 32,),
            allow_networks=networks,
            timeout=timedelta(milliseconds=300),
        )
        sender = self.stack.enter_context(Sender({"erp": target}, "Tocsin/1", self.clock))
        made = Counter(self.desk, self.clock, sender, receiver)
        made.owe()
        return made


@pytest.fixture
def opened(database: Database) -> Iterator[Opened]:
    clock = FakeClock()
    desk = Desk(database, clock())
    desk.source()
    desk.endpoint("erp")
    with ExitStack() as stack:
        yield Opened(desk, clock, stack)


def failed_once(counter: Counter) -> bool:
    """It is pending, and waits as the schedule's first wait says, never less, up to a fifth more."""
    return counter.row.status == "pending" and FIRST_WAIT <= counter.wait <= FIRST_WAIT * JITTER


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_2xx_is_delivered_and_the_time_is_recorded(opened: Opened, status: int) -> None:
    counter = opened(answering(status))
    assert counter.deliver() == 1
    found = counter.row
    assert (found.status, found.delivered_at, found.last_status_code) == ("delivered", counter.clock(), status)
    assert found.next_attempt_at is None
    assert counter.endpoint.failures == 0


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_3xx_is_a_failed_attempt_and_the_redirect_is_not_followed(opened: Opened, status: int) -> None:
    elsewhere = opened.stack.enter_context(Receiver(answering(200)))
    counter = opened(answering(status, Location=elsewhere.url))
    counter.deliver()
    assert failed_once(counter)
    assert (counter.row.last_status_code, elsewhere.connections, counter.endpoint.slow_until) == (status, 0, None)


def test_410_disables_the_endpoint_at_once_and_its_deliveries_wait(opened: Opened) -> None:
    counter = opened(answering(410))
    counter.deliver()
    counter.owe("n2")
    counter.clock.turn(days=30)
    assert counter.deliver() == 0
    assert (counter.row.status, counter.endpoint.disabled_at is not None) == ("pending", True)
    assert "410" in (counter.endpoint.reason or "")
    assert [(row.status, row.reason) for row in counter.desk.deliveries()[1:]] == [("skipped", "endpoint disabled")]
    assert len(counter.receiver.requests) == 1


@pytest.mark.parametrize("status", SLOWING)
def test_429_502_503_and_504_slow_the_whole_endpoint(opened: Opened, status: int) -> None:
    counter = opened(answering(status))
    counter.deliver()
    assert failed_once(counter)
    assert counter.endpoint.slow_until == counter.clock() + timedelta(seconds=5)
    counter.owe("n2")
    counter.clock.turn(seconds=4.9)
    assert (counter.deliver(), len(counter.receiver.requests)) == (0, 1)
    counter.clock.turn(seconds=0.1)
    assert counter.deliver() >= 1


@pytest.mark.parametrize("status", SLOWING)
@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize(
    ("asked", "wait"),
    [(HOUR, HOUR), (DAY, DAY), (30 * DAY, DAY), (HOUR / 3600, FIRST_WAIT), (0 * HOUR, FIRST_WAIT)],
)
def test_retry_after_is_honoured_up_to_24_h_and_never_shortens_the_schedules_wait(
    opened: Opened, status: int, asked: timedelta, wait: timedelta, *, as_date: bool
) -> None:
    until: datetime = opened.clock() + asked
    text = f"{until:%a, %d %b %Y %H:%M:%S} GMT" if as_date else str(int(asked.total_seconds()))
    counter = opened(answering(status, Retry_After=text))
    counter.deliver()
    assert wait <= counter.wait <= max(wait, FIRST_WAIT * JITTER)
    assert counter.endpoint.slow_until == counter.clock() + min(asked, DAY)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 500, 501, 505, 599, 999])
def test_any_other_status_is_a_failed_attempt_whatever_it_asks_for(opened: Opened, status: int) -> None:
    counter = opened(answering(status, Retry_After="3600"))
    counter.deliver()
    assert failed_once(counter)
    found = counter.endpoint
    assert (counter.row.last_status_code, found.slow_until, found.disabled_at, found.failures) == (
        status,
        None,
        None,
        1,
    )


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (hanging, "timeout"),
        (trickling, "timeout"),
        (hanging_up, "broken_off"),
        (resetting, "broken_off"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), "broken_off"),
        (saying(b"220 mail.example ESMTP\r\n"), "failed"),
    ],
)
def test_a_timeout_and_an_answer_that_breaks_off_are_failed_attempts(
    opened: Opened, script: Script, outcome: str
) -> None:
    counter = opened(script)
    counter.deliver()
    assert failed_once(counter)
    assert (counter.row.last_outcome, counter.endpoint.slow_until) == (outcome, None)


def test_a_refused_connection_is_a_failed_attempt(opened: Opened) -> None:
    with Receiver(answering(200)) as gone:
        url = gone.url
    counter = opened(answering(200), url)
    counter.deliver()
    assert failed_once(counter)
    assert counter.row.last_outcome == "refused"


def test_an_address_that_is_not_public_and_not_allowed_is_blocked_and_nothing_is_sent(opened: Opened) -> None:
    counter = opened(answering(200), networks=())
    counter.deliver()
    assert failed_once(counter)
    (attempt,) = counter.desk.rows(Attempt)
    assert (attempt.outcome, attempt.status_code, counter.receiver.connections) == ("blocked", None, 0)


def _refusing_the_first(visit: Visit) -> bool:
    return answering(404 if b'"external_id":"n1"' in visit.request.body else 204)(visit)


def test_a_delivery_is_tried_at_the_schedules_times_and_exhausted_after_the_last(opened: Opened) -> None:
    """Other messages arrive meanwhile, so that the endpoint is not probed and each attempt is by schedule."""
    counter = opened(_refusing_the_first)
    counter.deliver()
    for number, wait in enumerate(SCHEDULE, start=1):
        assert (counter.row.attempts, counter.row.status) == (number, "pending")
        assert wait <= counter.wait <= wait * JITTER
        counter.owe(f"beside {number}")
        due_at = counter.row.next_attempt_at or counter.clock()
        counter.clock.at = due_at - timedelta(milliseconds=1)
        counter.deliver()
        assert counter.row.attempts == number, "not a moment too early"
        counter.clock.at = due_at
        assert counter.deliver() == 1
    assert (counter.row.status, counter.row.attempts) == ("exhausted", len(SCHEDULE) + 1)
    counter.clock.turn(days=365)
    assert counter.deliver() == 0


def test_every_attempt_has_the_same_id_and_bytes_and_its_own_time(opened: Opened) -> None:
    counter = opened(_refusing_the_first)
    for _ in range(3):
        counter.deliver()
        counter.owe(f"beside {counter.clock()}")
        counter.clock.at = counter.row.next_attempt_at or counter.clock()
    mine = [each for each in counter.receiver.requests if b'"external_id":"n1"' in each.body]
    assert (len({each.body for each in mine}), len({each.headers["webhook-id"] for each in mine})) == (1, 1)
    times = [int(attempt.started_at.timestamp()) for attempt in counter.desk.rows(Attempt) if attempt.delivery_id == 1]
    assert times == [int(each.headers["webhook-timestamp"]) for each in mine]
    assert len(set(times)) == 3
