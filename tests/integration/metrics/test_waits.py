"""How long things took lately, as `status` shows it, on both databases."""

from datetime import timedelta

from tests.fakes import AT, item
from tests.integration.store.desk import Desk, statements
from worker.clocks import Spread
from worker.store import waits
from worker.store.tables import Source

MINUTE, S = timedelta(minutes=1), timedelta(seconds=1)
AGO = AT - timedelta(hours=1)


def test_what_occurred_since_the_source_is_polled_is_measured_to_its_being_seen(desk: Desk) -> None:
    desk.store(item("1", at=AT - MINUTE))  # was there before
    desk.store(item("2", at=AT + MINUTE), item("3", at=AT + 2 * MINUTE), item("4", at=None), now=AT + 3 * MINUTE)
    with desk.database.reading() as session:
        assert waits.seen(session, AGO) == {"books": Spread(2, MINUTE, 2 * MINUTE)}
        assert waits.seen(session, AT + 4 * MINUTE) == {}


def test_the_providers_clock_is_brought_to_ours(desk: Desk) -> None:
    desk.change(Source, {"clock_offset_s": 30.0}, name="books")
    desk.store(item("1", at=AT + MINUTE), now=AT + MINUTE)
    with desk.database.reading() as session:
        assert waits.seen(session, AGO) == {"books": Spread(1, 30 * S, 30 * S)}


def test_deliveries_are_measured_from_stored_to_the_first_attempt_and_to_delivered(desk: Desk) -> None:
    desk.store(item("1"))
    [erp, crm] = sorted(desk.claim(now=AT + 10 * S), key=lambda due: due.endpoint, reverse=True)
    desk.record([desk.judged(erp, 200, AT + 10 * S), desk.judged(crm, 500, AT + 10 * S)], AT + 10 * S)
    with desk.database.reading() as session:
        found = waits.sent(session, AGO)
    first = Spread(1, 10 * S - timedelta(milliseconds=120), 10 * S - timedelta(milliseconds=120))
    assert found == {"erp": (first, Spread(1, 10 * S, 10 * S)), "crm": (first, None)}


def test_a_retry_counts_for_what_was_delivered_alone(desk: Desk) -> None:
    desk.store(item("1"))
    desk.record([desk.judged(due, 500, AT) for due in desk.claim() if due.endpoint == "erp"])
    later = AT + MINUTE
    desk.record([desk.judged(due, 200, later) for due in desk.claim(now=later) if due.endpoint == "erp"], later)
    with desk.database.reading() as session:
        first, delivered = waits.sent(session, AGO)["erp"]
    assert (first and first.count, delivered) == (1, Spread(1, MINUTE, MINUTE))


def test_what_was_asked_for_by_hand_is_not_measured(desk: Desk) -> None:
    desk.store(item("1"))
    desk.deliver()
    month = AT + timedelta(days=30)
    desk.redeliver(1, 2, now=month)
    desk.record([desk.judged(due, 200, month) for due in desk.claim(now=month)], month)
    with desk.database.reading() as session:
        assert waits.sent(session, month - timedelta(hours=1)) == {}


def test_each_look_is_one_bounded_statement(desk: Desk) -> None:
    with statements(desk.database) as said, desk.database.reading() as session:
        waits.seen(session, AGO)
        waits.sent(session, AGO)
    asked = [statement for statement in said if statement.startswith("SELECT")]
    assert [True, True] == ["LIMIT" in statement for statement in asked]
