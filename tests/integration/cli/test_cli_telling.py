import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes import FakeClock
from tests.integration.cli.desk import Desk
from worker.sandbox import Sandbox
from worker.sandbox.configuration import written
from worker.sandbox.sandbox import PATH

SOURCE = "realtime_register"


@pytest.fixture
def registrar(desk: Desk, sandbox: Sandbox) -> Desk:
    """One source, which acknowledges what was delivered, and an endpoint that is told all there is."""
    desk.configure(
        {SOURCE: {**sandbox.sources()[SOURCE], "every": "1h", "acknowledge": "delivered"}},
        {"sandbox": {**sandbox.endpoints()["sandbox"], "types": ["notification.*", "source.*"]}},
    )
    return desk


def _received(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Type and status of each message that arrived, in its order."""
    bodies = [json.loads(one.body) for one in sandbox.receiver.received(PATH)]
    return [(body["type"], body["data"]["status"]) for body in bodies]


def test_what_was_delivered_is_acknowledged_and_comes_back_as_resolved(registrar: Desk, sandbox: Sandbox) -> None:
    rows = sandbox.publish(3, SOURCE)
    registrar.tocsin("poll", SOURCE)
    assert sandbox.realtime_register.acknowledged == []
    registrar.deliver()
    registrar.tocsin("poll", SOURCE)
    assert sorted(sandbox.realtime_register.acknowledged) == sorted(row.external_id for row in rows)
    for _ in range(2):
        assert registrar.tocsin("poll", SOURCE).code == 0
        registrar.deliver()
    assert len(sandbox.realtime_register.acknowledged) == 3
    assert _received(sandbox) == [("notification.created", "new")] * 3 + [("notification.updated", "resolved")] * 3


def test_an_operator_hears_of_a_source_that_is_paused_and_recovers(registrar: Desk, sandbox: Sandbox) -> None:
    sandbox.realtime_register.faults.refuse()
    assert registrar.tocsin("poll", SOURCE).code == 1
    listed = registrar.tocsin("sources", "list", "--json").row
    sandbox.realtime_register.faults.clear()
    registrar.tocsin("sources", "resume", SOURCE)
    assert registrar.tocsin("poll", SOURCE).code == 0
    registrar.deliver()
    assert sorted(_received(sandbox)) == [("source.failing", "paused"), ("source.recovered", "ok")]
    told = [json.loads(one.body)["data"] for one in sandbox.receiver.received(PATH)]
    (paused,) = [row for row in told if row["status"] == "paused"]
    assert paused == listed | {"lag_s": paused["lag_s"]}


def test_the_configuration_of_a_source_that_can_not_be_told_is_refused(desk: Desk, sandbox: Sandbox) -> None:
    source = sandbox.sources()["bookkeep"] | {"acknowledge": "stored"}
    desk.write(written({}, {"sources": {"books": source}}))
    said = desk.tocsin("check", "--offline")
    expected = 'sources.books.acknowledge: bookkeep has no way to be told; write "never", or leave it out'
    assert (said.code, said.complaints) == (2, [expected])


def test_ticks_tell_of_a_source_that_nobody_polls_and_status_says_the_same(registrar: Desk, sandbox: Sandbox) -> None:
    """An hour's source, sent to a worker every half hour for five hours, and never polled."""
    clock = FakeClock(datetime.now(UTC) - timedelta(hours=5))
    with registrar.house(clock) as house:
        while clock() < datetime.now(UTC):
            assert house.due_sources(SOURCE) == [SOURCE]
            clock.turn(minutes=30)
    said = registrar.tocsin("status", "--json")
    (row,) = said.row["sources"]
    why = "it is more than three intervals behind: is a worker running?"
    assert (said.code, row["status"], row["reason"], row["failures"]) == (1, "failing", why, 0)
    registrar.deliver()
    assert _received(sandbox) == [("source.failing", "failing")]
    listed = registrar.tocsin("sources", "list", "--json").row
    assert json.loads(sandbox.receiver.received(PATH)[0].body)["data"].keys() == listed.keys()
