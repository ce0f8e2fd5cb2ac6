from datetime import timedelta

import pytest

from tests.fakes import AT, item
from tests.integration.store.desk import LEASE, SCHEDULE, Desk, statements
from worker.delivery import Due, Outcome, Trigger, Wire
from worker.store import endpoints, fates
from worker.store.tables import Attempt, Delivery, EndpointRow, NotificationRow

SECOND = timedelta(seconds=1)


@pytest.fixture
def due(desk: Desk) -> Due:
    """One claimed delivery of endpoint `erp`."""
    desk.endpoint("erp")
    desk.store(item("a"))
    (due,) = desk.claim()
    return due


def _dated(desk: Desk) -> list[object]:
    return [row.delivered_at for row in desk.rows(NotificationRow)]


def test_what_was_taken_is_delivered_when_its_status_arrived(desk: Desk, due: Due) -> None:
    desk.record([desk.judged(due, 200)], now=AT + SECOND)
    (row,), (attempt,) = desk.deliveries(), desk.rows(Attempt)
    assert (row.status, row.delivered_at, row.next_attempt_at, row.attempts) == ("delivered", AT, None, 1)
    assert (row.claim_token, row.claimed_until, row.last_outcome, row.last_status_code) == (None, None, "answered", 200)
    assert (attempt.number, attempt.trigger, attempt.duration_ms, attempt.outcome) == (1, "first", 120, "answered")
    assert (attempt.status_code, attempt.response_excerpt) == (200, "thanks")
    assert _dated(desk) == [AT]


def test_what_failed_is_due_again(desk: Desk, due: Due) -> None:
    desk.record([desk.judged(due, 500)])
    (row,) = desk.deliveries()
    assert (row.status, row.attempts, row.round, row.trigger, row.claim_token) == ("pending", 1, 1, "retry", None)
    assert row.next_attempt_at is not None
    assert AT + SCHEDULE[0] <= row.next_attempt_at <= AT + SCHEDULE[0] * 1.2
    assert _dated(desk) == [None]


def test_a_schedule_that_is_used_up_exhausts_a_delivery(desk: Desk, due: Due) -> None:
    desk.record([desk.judged(due, 500)])
    while desk.deliveries()[0].status == "pending":
        desk.now += SCHEDULE[-1] * 1.2
        desk.deliver(500)
    (row,) = desk.deliveries()
    assert (row.status, row.attempts, row.next_attempt_at) == ("exhausted", len(SCHEDULE) + 1, None)
    assert [attempt.trigger for attempt in desk.rows(Attempt)] == ["first", "retry", "retry", "retry"]


def test_a_redelivery_has_a_whole_schedule_before_it(desk: Desk, due: Due) -> None:
    desk.change(
        Delivery, {"status": "exhausted", "attempts": 4, "round": 4, "claim_token": None, "claimed_until": None}
    )
    desk.redeliver(due.delivery_id)
    (again,) = desk.claim()
    assert (again.attempt, again.round, again.trigger) == (5, 1, Trigger.REDELIVERY)


def test_the_first_date_of_any_endpoint_stays(desk: Desk, due: Due) -> None:
    desk.record([desk.judged(due, 200)])
    desk.redeliver(due.delivery_id)
    (again,) = desk.claim()
    desk.record([desk.judged(again, 200, now=AT + SECOND)])
    assert _dated(desk) == [AT]


def test_a_claim_that_was_lost_writes_nothing(desk: Desk, due: Due) -> None:
    desk.now += LEASE
    (taken_over,) = desk.claim()
    before, endpoint = desk.deliveries(), desk.endpoint_row("erp")
    assert desk.record([desk.judged(due, 200)]) == []
    assert (desk.deliveries(), desk.rows(Attempt), _dated(desk)) == (before, [], [None])
    assert desk.endpoint_row("erp") == endpoint
    assert len(desk.record([desk.judged(taken_over, 200)])) == 1


def test_a_lost_claim_does_not_hold_up_the_others(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"), item("b"))
    first, second = desk.claim()
    desk.change(Delivery, {"claim_token": "another's"}, id=first.delivery_id)
    written = desk.record([desk.judged(first, 200), desk.judged(second, 200)])
    assert [one.due for one in written] == [second]
    assert [row.status for row in desk.deliveries()] == ["pending", "delivered"]


def test_an_outcome_after_the_lease_still_counts_when_nobody_took_over(desk: Desk, due: Due) -> None:
    desk.now += LEASE * 2
    assert len(desk.record([desk.judged(due, 200)])) == 1
    assert desk.claim() == []


def test_the_same_outcome_is_written_once(desk: Desk, due: Due) -> None:
    attempted = desk.judged(due, 500)
    assert len(desk.record([attempted])) == 1
    assert desk.record([attempted]) == []
    assert len(desk.rows(Attempt)) == 1


def test_the_statements_of_a_batch_do_not_grow_with_it(desk: Desk) -> None:
    for name in ("erp", "crm"):
        desk.endpoint(name)
    desk.store(*(item(f"n{number}") for number in range(100)))
    due = desk.claim()
    first = {one.message_id for one in due[:20]}
    small = [desk.judged(one, 200) for one in due if one.message_id in first]
    large = [desk.judged(one, 200) for one in due if one.message_id not in first]
    with statements(desk.database) as few:
        desk.record(small)
    with statements(desk.database) as many:
        desk.record(large)
    assert len(many) <= len(few)
    assert len(desk.rows(Attempt)) == 200


def test_failures_in_a_row_are_counted_until_one_is_taken(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"), item("b"), item("c"))
    one, two, three = desk.claim()
    desk.record([desk.judged(two, 503, now=AT + SECOND), desk.judged(one, 500)])
    row = desk.endpoint_row("erp")
    assert (row.failures, row.slowed) == (2, 1)
    assert row.failing_since == AT - timedelta(milliseconds=120)
    assert row.slow_until == AT + 6 * SECOND
    desk.record([desk.judged(three, 200)])
    row = desk.endpoint_row("erp")
    assert (row.failures, row.failing_since, row.slowed, row.slow_until) == (0, None, 0, None)


def test_the_longest_wait_that_was_asked_for_counts(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"), item("b"))
    one, two = desk.claim()
    desk.record([desk.judged(one, 503, now=AT + 9 * SECOND), desk.judged(two, 503, now=AT + 10 * SECOND)])
    assert desk.endpoint_row("erp").slow_until == AT + 15 * SECOND


def test_an_endpoint_that_is_gone_is_disabled_and_its_deliveries_wait(desk: Desk, due: Due) -> None:
    desk.record([desk.judged(due, 410)])
    row = desk.endpoint_row("erp")
    assert (row.disabled_at, row.reason) == (AT, "answered 410 Gone")
    assert [delivery.status for delivery in desk.deliveries()] == ["pending"]
    assert desk.claim(now=AT + timedelta(days=9)) == []


def test_the_first_reason_of_a_disabled_endpoint_stays(desk: Desk, due: Due) -> None:
    desk.change(EndpointRow, {"disabled_at": AT - SECOND, "reason": "by hand"})
    desk.record([desk.judged(due, 410)])
    row = desk.endpoint_row("erp")
    assert (row.disabled_at, row.reason) == (AT - SECOND, "by hand")


def test_no_answer_at_all_is_recorded_too(desk: Desk, due: Due) -> None:
    lost = Outcome(wire=Wire.TIMEOUT, started_at=AT, answered_at=AT + 15 * SECOND, duration=15 * SECOND)
    desk.record([desk.judged(due, lost)])
    (attempt,) = desk.rows(Attempt)
    assert (attempt.outcome, attempt.status_code, attempt.response_excerpt) == ("timeout", None, None)


def test_any_answer_can_be_recorded(desk: Desk, due: Due) -> None:
    odd = Outcome(
        wire=Wire.ANSWERED, started_at=AT, answered_at=AT, duration=SECOND, status_code=200,
        response_excerpt="nul \x00, half a pair \ud800",
    )  # fmt: skip
    desk.record([desk.judged(due, odd)])
    assert [attempt.response_excerpt for attempt in desk.rows(Attempt)] == ["nul \ufffd, half a pair ?"]


def test_nothing_attempted_is_nothing_recorded(desk: Desk) -> None:
    assert desk.record([]) == []


def test_however_many_requests_were_open_an_endpoint_is_slowed_once_a_wait(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(10)))
    desk.record([desk.judged(due, 503) for due in desk.claim()])
    (endpoint,) = desk.rows(EndpointRow)
    assert (endpoint.slowed, endpoint.slow_until) == (1, AT + 5 * SECOND)


@pytest.mark.parametrize(("failed_before", "status"), [(0, 500), (3, 500), (3, 503), (3, 410)])
def test_what_is_redelivered_while_its_request_is_open_is_tried_again_when_that_fails(
    desk: Desk, due: Due, failed_before: int, status: int
) -> None:
    for _ in range(failed_before):
        desk.record([desk.judged(due, 500)])
        desk.now += SCHEDULE[-1] * 2
        (due,) = desk.claim()
    desk.redeliver(due.delivery_id)
    desk.record([desk.judged(due, status)])
    (row,) = desk.deliveries()
    assert (row.status, row.round, row.trigger, row.next_attempt_at) == ("pending", 0, "redelivery", desk.now)


def test_what_is_redelivered_while_its_request_is_open_is_delivered_when_that_is_taken(desk: Desk, due: Due) -> None:
    desk.redeliver(due.delivery_id)
    desk.record([desk.judged(due, 200)])
    assert (desk.deliveries()[0].status, desk.claim()) == ("delivered", [])


def test_410_uses_up_no_place_in_the_schedule_however_often_the_endpoint_is_enabled(desk: Desk, due: Due) -> None:
    for _ in range(9):
        desk.record([desk.judged(due, 410)])
        with desk.database.transaction() as session:
            endpoints.enable(session, "erp", AT)
        (due,) = desk.claim()
    assert (due.round, due.attempt, due.trigger) == (1, 1, Trigger.FIRST)


def test_a_failed_test_stays_a_test_and_is_none_of_what_was_given_up(desk: Desk) -> None:
    desk.endpoint("erp")
    with desk.database.transaction() as session:
        tests = [endpoints.owe_test(session, "erp", b"{}", LEASE, AT) for _ in range(3)]
    desk.record([desk.judged(tests[0], 500), desk.judged(tests[1], 200)])
    assert [(row.status, row.trigger) for row in desk.deliveries()] == [
        ("exhausted", "test"), ("delivered", "test"), ("pending", "test")
    ]  # fmt: skip
    with desk.database.reading() as session:
        for fate in (fates.of_endpoint(session, "erp"), fates.of_endpoints(session)["erp"]):
            assert (fate.deliveries, fate.oldest_pending_at) == ({}, None)
