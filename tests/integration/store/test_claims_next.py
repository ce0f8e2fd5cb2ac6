from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.fakes import AT, item
from tests.integration.store.desk import LEASE, Desk, statements
from worker.deliver import Outbox
from worker.delivery import DeliveryStatus, Trigger
from worker.interest import Interest
from worker.store import claims, endpoints
from worker.store.rooms import Slots

SECOND = timedelta(seconds=1)


@pytest.fixture
def erp(desk: Desk) -> Desk:
    """A desk whose endpoint `erp` takes anything."""
    desk.endpoint("erp")
    return desk


def _store(desk: Desk, count: int, prefix: str = "n", interests: tuple[str, ...] | None = None) -> None:
    wanted = None if interests is None else [Interest(name) for name in interests]
    desk.store(*(item(f"{prefix}{number}") for number in range(count)), interests=wanted)


def _claimed_reading(desk: Desk, most: int) -> int:
    """How many rows of deliveries PostgreSQL reads for a claim."""
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'delivery'"
    with desk.database.transaction() as session:
        assert len(claims.claim(session, desk.limits, Slots(most), desk.now)) == most
        return int(session.execute(text(read)).scalar_one())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_claim_reads_no_more_of_a_long_backlog_than_of_a_short_one(erp: Desk) -> None:
    _store(erp, 20)
    short = _claimed_reading(erp, 2)
    _store(erp, 2000, prefix="more")
    assert _claimed_reading(erp, 2) < short + 100


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_looks_for_an_earlier_revision_where_few_rows_are(erp: Desk) -> None:
    plans: list[str] = []

    def explain(connection: Any, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if "EXISTS" in statement and not statement.startswith("EXPLAIN"):
            plans.extend(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))

    _store(erp, 20)
    event.listen(erp.database.engine, "before_cursor_execute", explain)
    assert len(erp.claim(most=2)) == 2
    searches = [plan.split(" USING INDEX ")[1].split(" ")[0] for plan in plans if " USING INDEX " in plan]
    assert searches == ["delivery_due", "delivery_order"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_statements_of_a_claim_do_not_grow_with_its_endpoints(desk: Desk) -> None:
    counts = []
    for number in range(20):
        desk.endpoint(f"e{number}")
        desk.store(item(f"n{number}"))
        with statements(desk.database) as said:
            assert len(desk.claim()) == number + 1
        counts.append(len(said))
    assert set(counts[1:]) == {counts[1]}


def _due_at(desk: Desk) -> datetime | None:
    return desk.endpoint_row("erp").due_at


def test_an_endpoint_whose_only_delivery_waits_is_looked_at_when_it_is_due(erp: Desk) -> None:
    erp.store(item("a"))
    erp.deliver(500)
    assert erp.claim() == []
    due_at = erp.deliveries()[0].next_attempt_at
    assert _due_at(erp) == due_at
    assert due_at is not None
    assert len(erp.claim(now=due_at)) == 1


def test_an_endpoint_with_nothing_to_come_is_not_looked_at(erp: Desk) -> None:
    erp.store(item("a"))
    erp.deliver()
    assert _due_at(erp) == AT + LEASE  # as its claim left it: what was delivered wakes nobody
    assert erp.claim(now=AT + LEASE) == []
    assert _due_at(erp) is None


def test_a_revision_that_waited_for_an_open_request_is_looked_at_when_that_has_ended(erp: Desk) -> None:
    erp.store(item("a"))
    (first,) = erp.claim()
    erp.store(item("a", message="changed"))
    assert erp.claim() == []
    assert _due_at(erp) == AT + LEASE
    erp.record([erp.judged(first, 200)])
    assert _due_at(erp) == AT
    assert len(erp.claim()) == 1


def test_an_endpoint_is_looked_at_when_a_lease_ends(erp: Desk) -> None:
    erp.store(item("a"))
    erp.claim()
    erp.claim()
    assert _due_at(erp) == AT + LEASE


def test_an_endpoint_is_woken_by_what_it_is_owed(erp: Desk) -> None:
    erp.claim()
    erp.store(item("a"))
    assert _due_at(erp) == AT


def test_a_test_that_was_never_recorded_is_found_again(erp: Desk) -> None:
    with erp.database.transaction() as session:
        due = endpoints.owe_test(session, "erp", b"{}", LEASE, AT)
    assert (due.trigger, due.attempt, due.body) == (Trigger.TEST, 1, b"{}")
    assert erp.claim(now=AT + LEASE - SECOND) == []
    (again,) = erp.claim(now=AT + LEASE)
    assert (again.message_id, again.trigger, again.notification_id, again.source) == (
        due.message_id, Trigger.TEST, None, None,
    )  # fmt: skip


def test_two_tests_do_not_wait_for_each_other(erp: Desk) -> None:
    for _ in range(2):
        with erp.database.transaction() as session:
            endpoints.owe_test(session, "erp", b"{}", LEASE, AT)
    assert len(erp.claim(now=AT + LEASE)) == 2


def test_what_was_skipped_is_not_due(desk: Desk) -> None:
    desk.source("books2", start_at=AT)
    desk.endpoint("erp")
    desk.store(item("old", at=AT - SECOND), source="books2")
    assert [row.status for row in desk.deliveries()] == [DeliveryStatus.SKIPPED.value]
    assert desk.claim() == []


def test_what_is_due_to_an_endpoint_that_is_no_longer_configured_costs_a_look_and_no_more(erp: Desk) -> None:
    _store(erp, 1)
    left = Outbox(database=erp.database, allowances={"crm": erp.limits["erp"]})
    with statements(erp.database) as said:
        assert left.claim(Slots(10), erp.now) == []
    assert len(said) == 1
