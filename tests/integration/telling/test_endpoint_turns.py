"""Operational messages of endpoints: failing at 50 and 90 % of the way, disabled, each exactly once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fakes import AT, FakeClock, item
from tests.integration.store.desk import Desk, PowerCutError, power_cut
from worker.announce import Endpoints
from worker.deliver import Outbox
from worker.delivery import Due
from worker.interest import Interest
from worker.report import endpoint_row
from worker.store import fates
from worker.store.rooms import Slots
from worker.store.session import Database
from worker.store.tables import Attempt, EndpointRow, Message

DAY = timedelta(days=1)
WARNED, DISABLED = ("endpoint.failing", "failing"), ("endpoint.disabled", "disabled")
URL = "https://erp.example.com/hooks"


@dataclass
class Post:
    """An outbox of `erp`, which fails and is given up after four days, and `ops`, which asks to be told."""

    desk: Desk
    outbox: Outbox
    clock: FakeClock = field(default_factory=FakeClock)

    def attempt(self, status: int = 500) -> list[int]:
        """What may be sent to `erp` at this moment is sent; the status codes that were recorded."""
        due = [one for one in self.outbox.claim(Slots(100), self.clock()) if one.endpoint == "erp"]
        return self.record(due, status)

    def record(self, due: Sequence[Due], status: int) -> list[int]:
        judged = [self.desk.judged(one, status, self.clock()) for one in due]
        return [one.outcome.status_code or 0 for one in self.outbox.record(judged, self.clock())]

    def fail_until(self, end: datetime, step: timedelta = timedelta(hours=3)) -> None:
        while self.clock() <= end:
            self.attempt()
            self.clock.at += step

    @property
    def messages(self) -> list[dict[str, Any]]:
        rows = [row for row in self.desk.rows(Message) if row.type.startswith("endpoint.")]
        return [json.loads(row.body) for row in sorted(rows, key=lambda row: row.created_at)]

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message["type"], message["data"]["status"]) for message in self.messages]

    @property
    def row(self) -> dict[str, Any]:
        with self.desk.database.reading() as session:
            return endpoint_row("erp", fates.of_endpoints(session)["erp"], URL)

    def owed(self) -> list[tuple[int, str, str | None]]:
        """The deliveries of operational messages: endpoint, status, reason."""
        rows = [row for row in self.desk.deliveries() if row.notification_id is None]
        return [(row.endpoint_id, row.status, row.reason) for row in rows]


@pytest.fixture
def post(database: Database) -> Post:
    desk = Desk(database, AT)
    desk.source()
    for name in ("erp", "ops"):
        desk.endpoint(name)
    interests = (Interest("erp", types=("*",)), Interest("ops", types=("endpoint.*",)))
    about = Endpoints(interests, {"erp": URL, "ops": URL}, {"erp": 4 * DAY})
    desk.store(*(item(f"n{number}") for number in range(9)), interests=[Interest("erp")])
    return Post(desk, Outbox(database=database, allowances=desk.limits, endpoints=about))


def test_an_endpoint_that_fails_without_a_break_is_told_of_at_50_and_90_and_100_per_cent(post: Post) -> None:
    post.fail_until(AT + 5 * DAY)
    assert post.said == [WARNED, WARNED, DISABLED]
    days = [datetime.fromisoformat(message["timestamp"]) - AT for message in post.messages]
    shares = [days[0] / (4 * DAY), days[1] / (4 * DAY), days[2] / (4 * DAY)]
    assert [round(share, 2) for share in shares] == [0.5, 0.91, 1.0]
    row = post.desk.endpoint_row("erp")
    assert row.reason is not None
    assert row.reason.startswith("nothing but failures since 2026-03-20T11:59:59.880Z: ")


def test_it_is_told_with_its_row(post: Post) -> None:
    post.fail_until(AT + 4 * DAY)
    assert post.messages[-1]["data"] == post.row
    assert (post.row["status"], post.row["pending"]) == ("disabled", 11)


def test_one_that_is_disabled_is_not_told_of_that_itself(post: Post) -> None:
    post.attempt(410)
    assert post.said == [DISABLED]
    assert post.owed() == [(1, "skipped", "endpoint disabled"), (2, "pending", None)]


def test_nothing_is_told_before_twenty_attempts(post: Post) -> None:
    post.fail_until(AT + 5 * DAY, step=timedelta(hours=12))
    assert len(post.desk.rows(Attempt)) < 20
    assert post.said == []


def test_each_time_of_failing_is_told(post: Post) -> None:
    for _ in range(2):
        post.fail_until(post.clock() + 2.2 * DAY)
        assert post.attempt(200) == [200]
        post.desk.store(
            *(item(f"{post.clock()}{number}") for number in range(9)), interests=[Interest("erp")], now=post.clock()
        )
    assert post.said == [WARNED, WARNED]


def test_to_nobody_nothing_is_told(post: Post) -> None:
    silent = Outbox(
        database=post.outbox.database,
        allowances=post.outbox.allowances,
        endpoints=Endpoints((Interest("erp"),), {"erp": URL}, {"erp": 4 * DAY}),
    )
    Post(post.desk, silent).fail_until(AT + 5 * DAY)
    assert post.said == []
    assert post.desk.endpoint_row("erp").disabled_at is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_dies_while_it_records_tells_nothing_and_the_next_tells_it_once(post: Post) -> None:
    due = post.outbox.claim(Slots(100), AT)
    half_way = {"failures": 40, "failing_since": AT - 2 * DAY, "probe_at": AT}
    post.desk.change(EndpointRow, half_way, name="erp")
    for at in range(2, 30):
        try:
            with power_cut(post.desk.database, at):
                post.record(due[:1], 500)
        except PowerCutError:
            assert (post.said, post.desk.endpoint_row("erp").warned, post.desk.rows(Attempt)) == ([], 0, [])
        else:
            break
    post.record(due, 500)
    assert post.said == [WARNED]
    assert len(post.desk.rows(Attempt)) == len(due)


def test_each_turn_is_logged_once(post: Post) -> None:
    with capture_logs() as logs:
        post.attempt(500)
        post.clock.at += timedelta(minutes=1)
        post.attempt(500)
        post.clock.at += timedelta(minutes=1)
        post.attempt(200)
        post.clock.at += timedelta(minutes=1)
        post.attempt(410)
    assert [entry["event"] for entry in logs] == ["endpoint.failing", "endpoint.recovered", "endpoint.disabled"]
    assert [entry["endpoint"] for entry in logs] == ["erp"] * 3
    assert (logs[0]["reason"], logs[2]["reason"]) == ("answered 500", "answered 410 Gone")


def test_a_failing_endpoint_says_why_and_when_it_is_probed_next(post: Post) -> None:
    post.attempt(500)
    assert post.row["status"] == "failing"
    assert post.row["reason"] == (
        "9 failed attempts since it last answered well, the last answered 500; "
        "it is probed, one request at a time, next at 2026-03-20T12:00:05Z"
    )


def test_a_slowed_endpoint_says_until_when_it_is_left_alone(post: Post) -> None:
    post.record(post.outbox.claim(Slots(1), AT), 503)
    assert post.row["reason"] == (
        "1 failed attempts since it last answered well, the last answered 503; left alone until 2026-03-20T12:00:05Z"
    )


def test_recording_knows_which_endpoints_want_the_latest_alone() -> None:
    watch = Endpoints([Interest("erp", latest=True), Interest("crm")]).watch([], AT)
    assert watch.latest == {"erp"}
