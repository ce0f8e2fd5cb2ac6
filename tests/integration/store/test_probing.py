"""An endpoint that fails is probed with one request at a time, and opens slowly when it answers well."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes import AT, answered, item
from tests.integration.store.desk import LEASE, SCHEDULE, Desk
from worker.delivery import Due, Trigger
from worker.settings import Rate
from worker.store import claims, endpoints
from worker.store.tables import Attempt, EndpointRow

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PROBED_AT = AT + 5 * SECOND


@pytest.fixture
def probed(desk: Desk) -> Desk:
    """A desk whose endpoint `erp` has failed five times, and is owed ten more messages."""
    desk.endpoint("erp")
    desk.store(*(item(f"failed{number}") for number in range(5)))
    desk.deliver(500)
    desk.store(*(item(f"n{number}") for number in range(10)), now=AT + SECOND)
    return desk


def _fail(desk: Desk, due: Due, now: datetime) -> None:
    desk.record([desk.judged(due, 500, now)], now)


def test_nothing_is_sent_before_the_probe_and_then_one_request(probed: Desk) -> None:
    assert probed.claim(now=PROBED_AT - SECOND) == []
    (probe,) = probed.claim(now=PROBED_AT)
    assert (probe.probe, probe.trigger, probe.made_as, probe.attempt) == (True, Trigger.FIRST, Trigger.PROBE, 1)
    assert probed.claim(now=PROBED_AT + SECOND) == []


def test_probes_go_on_less_and_less_often(probed: Desk) -> None:
    now, waits = PROBED_AT, []
    for _ in range(8):
        (probe,) = probed.claim(now=now)
        _fail(probed, probe, now)
        before, now = now, probed.endpoint_row("erp").due_at or now
        assert probed.claim(now=now - SECOND / 1000) == []
        waits.append((now - before) // SECOND)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_failed_probe_uses_up_nothing_of_its_delivery(probed: Desk) -> None:
    (probe,) = probed.claim(now=PROBED_AT)
    _fail(probed, probe, PROBED_AT)
    row = next(row for row in probed.deliveries() if row.id == probe.delivery_id)
    assert (row.status, row.attempts, row.round, row.trigger) == ("pending", 0, 0, "first")
    assert (row.next_attempt_at, row.last_status_code, row.claim_token) == (PROBED_AT, 500, None)
    last = probed.rows(Attempt)[-1]
    assert (last.delivery_id, last.number, last.trigger) == (row.id, 1, "probe")


def test_each_probe_is_made_with_the_one_that_waits_longest(probed: Desk) -> None:
    now, asked = PROBED_AT, []
    for _ in range(4):
        (probe,) = probed.claim(now=now)
        asked.append(probe.delivery_id)
        _fail(probed, probe, now)
        now = probed.endpoint_row("erp").due_at or now
    assert asked == [6, 7, 8, 9]


def test_where_none_is_due_the_first_that_will_be_is_asked_with(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"))
    for _ in range(3):
        desk.now += MINUTE * 40
        desk.deliver(500)
    desk.store(item("b"))
    desk.deliver(500)
    desk.change(EndpointRow, {"failures": 5, "probe_at": desk.now, "due_at": desk.now})
    waits = {row.id: row.next_attempt_at for row in desk.deliveries()}
    (probe,) = desk.claim()
    assert (probe.due_at, probe.delivery_id) == (min(at for at in waits.values() if at), 2)
    _fail(desk, probe, desk.now)
    assert {row.id: row.next_attempt_at for row in desk.deliveries()} == waits


def test_an_endpoint_that_is_owed_nothing_is_probed_with_what_comes_next(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.change(EndpointRow, {"failures": 9, "probe_at": AT, "failing_since": AT, "due_at": AT})
    assert desk.claim() == []
    assert desk.endpoint_row("erp").due_at is None
    desk.store(item("a"), item("b"))
    assert [due.probe for due in desk.claim()] == [True]


def test_requests_that_were_open_when_probing_began_use_up_nothing(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(8)))
    due = desk.claim()
    desk.record([desk.judged(one, 500) for one in due[:6]])
    assert desk.claim(now=PROBED_AT) == []
    desk.record([desk.judged(one, 500) for one in due[6:]], now=PROBED_AT)
    assert [row.attempts for row in desk.deliveries()] == [1] * 5 + [0] * 3
    assert [row.trigger for row in desk.deliveries()] == ["retry"] * 5 + ["first"] * 3
    assert [due.probe for due in desk.claim(now=PROBED_AT)] == [True]


def test_a_probe_of_a_worker_that_was_killed_is_made_again_when_its_lease_ends(probed: Desk) -> None:
    (lost,) = probed.claim(now=PROBED_AT)
    assert probed.claim(now=PROBED_AT + LEASE - SECOND) == []
    assert not claims.anything_due(probed.database, probed.limits, PROBED_AT + LEASE - SECOND)
    (again,) = probed.claim(now=PROBED_AT + LEASE)
    assert (again.delivery_id, again.probe) == (lost.delivery_id, True)
    assert probed.record([probed.judged(lost, 200)], now=PROBED_AT + LEASE) == []
    assert probed.endpoint_row("erp").probe_at is not None
    assert len(probed.record([probed.judged(again, 200)], now=PROBED_AT + LEASE)) == 1


def test_the_receivers_own_wait_holds_where_it_is_later_than_the_probe(probed: Desk) -> None:
    (probe,) = probed.claim(now=PROBED_AT)
    busy = answered(503, PROBED_AT, retry_after=MINUTE)
    probed.record([probed.judged(probe, busy, PROBED_AT)], now=PROBED_AT)
    assert probed.claim(now=PROBED_AT + MINUTE - SECOND) == []
    assert [due.probe for due in probed.claim(now=PROBED_AT + MINUTE)] == [True]


def test_a_shut_endpoint_costs_no_claim_until_it_opens(probed: Desk) -> None:
    assert probed.claim(now=AT + SECOND) == []
    for at in (AT + SECOND, PROBED_AT - SECOND):
        assert not claims.anything_due(probed.database, probed.limits, at)
    probed.store(item("more"), now=AT + 2 * SECOND)
    assert probed.claim(now=AT + 2 * SECOND) == []
    assert not claims.anything_due(probed.database, probed.limits, AT + 2 * SECOND)


def test_a_test_waits_for_no_probe_and_its_answer_opens_the_endpoint(probed: Desk) -> None:
    with probed.database.transaction() as session:
        due = endpoints.owe_test(session, "erp", b"{}", LEASE, AT)
    probed.record([probed.judged(due, 200)])
    row = probed.endpoint_row("erp")
    assert (row.failures, row.probe_at, row.opening_since) == (0, None, AT)


def test_it_opens_at_a_pace_that_doubles_each_second_for_all_workers_together(probed: Desk) -> None:
    probed.store(*(item(f"more{number}") for number in range(80)), now=AT + SECOND)
    (probe,) = probed.claim(now=PROBED_AT)
    probed.record([probed.judged(probe, 200)], now=PROBED_AT)
    sizes = [len(probed.claim(now=PROBED_AT + SECOND * half / 2)) for half in range(12)]
    assert [sum(sizes[at : at + 2]) for at in range(0, 12, 2)] == [1, 2, 4, 8, 16, 32]


def test_its_rate_limit_holds_while_it_opens(probed: Desk) -> None:
    probed.endpoint("erp", rate=Rate(3, SECOND))
    (probe,) = probed.claim(now=PROBED_AT)
    probed.record([probed.judged(probe, 200)], now=PROBED_AT)
    assert [len(probed.claim(now=PROBED_AT + SECOND * second)) for second in range(5)] == [0, 2, 3, 3, 3]


def test_it_is_open_when_nothing_is_due_any_more(probed: Desk) -> None:
    (probe,) = probed.claim(now=PROBED_AT)
    probed.record([probed.judged(probe, 200)], now=PROBED_AT)
    for second in range(5):
        probed.now = PROBED_AT + SECOND * second
        probed.deliver(200)
    assert probed.endpoint_row("erp").opening_since is None
    probed.store(*(item(f"later{number}") for number in range(30)))
    assert len(probed.claim()) == 30


def test_one_refused_message_comes_to_its_end_where_it_is_all_that_there_is(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("refused", "new"))
    desk.change(EndpointRow, {"failures": 5, "failing_since": AT, "probe_at": AT, "due_at": AT})
    desk.store(item("refused", "read"))
    counted = []
    while desk.deliveries()[0].status == "pending":
        desk.deliver(400)
        counted.append(desk.deliveries()[0].attempts)
        desk.now = desk.endpoint_row("erp").due_at or desk.now
    row = desk.deliveries()[0]
    assert (row.status, row.attempts) == ("exhausted", len(SCHEDULE) + 1)
    assert desk.now - AT >= sum(SCHEDULE, timedelta())
    assert len(counted) > len(SCHEDULE) + 1
    assert [due.delivery_id for due in desk.claim()] == [2]


def test_two_that_wait_use_up_nothing_while_the_endpoint_is_probed(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"), item("b"))
    desk.change(EndpointRow, {"failures": 5, "failing_since": AT, "probe_at": AT, "due_at": AT})
    for _ in range(9):
        desk.deliver(400)
        desk.now = desk.endpoint_row("erp").due_at or desk.now
    assert [row.attempts for row in desk.deliveries()] == [0, 0]


def test_it_opens_slowly_though_most_that_waits_is_a_later_revision(probed: Desk) -> None:
    for state in ("read", "received", "resolved"):
        probed.store(*(item(f"n{number}", state) for number in range(10)), now=AT + SECOND)
    (probe,) = probed.claim(now=PROBED_AT)
    probed.record([probed.judged(probe, 200)], now=PROBED_AT)
    sizes = []
    for tenth in range(50):
        probed.now = PROBED_AT + tenth * SECOND / 10
        sizes.append(len(probed.deliver(200)))
    assert [sum(sizes[at : at + 10]) for at in range(0, 50, 10)] == [1, 2, 4, 8, 16]


def test_a_person_who_enables_it_while_it_opens_lets_nothing_loose(probed: Desk) -> None:
    (probe,) = probed.claim(now=PROBED_AT)
    probed.record([probed.judged(probe, 200)], now=PROBED_AT)
    with probed.database.transaction() as session:
        endpoints.enable(session, "erp", PROBED_AT)
    assert len(probed.claim(now=PROBED_AT)) == 1


def test_it_opens_slowly_after_a_wait_that_it_named(probed: Desk) -> None:
    (probe,) = probed.claim(now=PROBED_AT)
    busy = answered(429, PROBED_AT, retry_after=MINUTE)
    well = answered(200, PROBED_AT)
    probed.record([probed.judged(probe, busy, PROBED_AT)], now=PROBED_AT)
    with probed.database.transaction() as session:
        due = endpoints.owe_test(session, "erp", b"{}", LEASE, PROBED_AT)
    probed.record([probed.judged(replace(due, trigger=Trigger.FIRST), well)], now=PROBED_AT)
    opens_at = PROBED_AT + MINUTE
    assert probed.endpoint_row("erp").opening_since == opens_at
    assert [len(probed.claim(now=opens_at + SECOND * second)) for second in range(3)] == [1, 2, 4]


def test_five_failed_tests_have_nothing_probed(desk: Desk) -> None:
    desk.endpoint("erp")
    for _ in range(5):
        with desk.database.transaction() as session:
            due = endpoints.owe_test(session, "erp", b"{}", LEASE, AT)
        desk.record([desk.judged(due, 500)])
    row = desk.endpoint_row("erp")
    assert (row.failures, row.probe_at, row.failing_since) == (0, None, None)


def test_after_an_outage_what_failed_in_it_does_not_wait_out_its_schedule(probed: Desk) -> None:
    probed.store(item("long ago"))
    probed.change(EndpointRow, {"probe_at": AT + MINUTE, "due_at": AT + MINUTE})
    (probe,) = probed.claim(now=AT + MINUTE)
    later = AT + 9 * MINUTE
    for row in probed.deliveries():
        if row.attempts:
            probed.change(type(row), {"next_attempt_at": later}, id=row.id)
    probed.record([probed.judged(probe, 200)], now=AT + 2 * MINUTE)
    rows = [row for row in probed.deliveries() if row.attempts and row.status == "pending"]
    assert [row.next_attempt_at for row in rows] == [AT + 2 * MINUTE] * 5
    assert [row.attempts for row in rows] == [1] * 5


def test_after_a_short_outage_the_schedule_holds(probed: Desk) -> None:
    before = [row.next_attempt_at for row in probed.deliveries()[:5]]
    (probe,) = probed.claim(now=PROBED_AT)
    probed.record([probed.judged(probe, 200)], now=PROBED_AT)
    assert [row.next_attempt_at for row in probed.deliveries()[:5]] == before
    assert all(at and SCHEDULE[0] <= at - AT <= SCHEDULE[0] * 1.2 for at in before)


def test_one_that_was_probed_until_a_person_enabled_it_opens_slowly_too(probed: Desk) -> None:
    with probed.database.transaction() as session:
        assert endpoints.disable(session, "erp", "by hand", AT)
        assert not endpoints.disable(session, "erp", "twice", AT)
    with probed.database.transaction() as session:
        assert endpoints.enable(session, "erp", AT + SECOND) == 15
    assert [len(probed.claim(now=AT + SECOND * second)) for second in (1, 2, 3, 4)] == [1, 2, 4, 8]
