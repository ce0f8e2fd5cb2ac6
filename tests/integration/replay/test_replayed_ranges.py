from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from tests.fakes import AT
from tests.integration.replay.desk import LATER, SECOND, Past, of
from tests.integration.store.desk import parameters
from worker.revision import MessageType
from worker.store import endpoints, outbox
from worker.store.outbox import Notice
from worker.store.replays import Asked, Standing
from worker.store.tables import Delivery, EndpointRow, Form


def test_everything_of_the_range_is_owed_again_with_a_whole_schedule_before_it(past: Past) -> None:
    ids = past.some(3)
    past.desk.now = AT + 5 * SECOND
    past.desk.deliver()
    extent = past.replay()
    assert (extent.total, extent.owed, extent.done, past.owed) == (3, 3, True, set(ids))
    rows = past.desk.deliveries()
    assert {(row.round, row.attempts, row.next_attempt_at, row.reason) for row in rows} == {(0, 1, LATER, None)}


def test_what_is_replayed_is_sent_with_the_same_id_and_the_same_bytes(past: Past) -> None:
    past.some(2)
    first = past.desk.claim(now=AT + 2 * SECOND)
    past.desk.record([past.desk.judged(one, 200) for one in first])
    past.replay()
    again = past.desk.claim(now=LATER)
    assert [(one.message_id, one.body) for one in again] == [(one.message_id, one.body) for one in first]
    assert {(one.attempt, one.round, one.trigger) for one in again} == {(2, 1, "replay")}


def test_since_is_inclusive_and_until_is_not(past: Past) -> None:
    ids = past.some(4)
    extent = past.replay(Asked(AT + SECOND, AT + 3 * SECOND))
    assert (past.owed, extent.total, extent.until) == (set(ids[1:3]), 2, AT + 3 * SECOND)


def test_without_an_end_it_goes_up_to_now_and_not_beyond(past: Past) -> None:
    past.store("a", second=0)
    past.store("b", second=3600)
    assert [past.survey(Asked(AT, until)).total for until in (None, LATER, LATER + SECOND)] == [1, 1, 1]
    assert (past.replay(Asked(AT, LATER + SECOND)).owed, len(past.owed)) == (1, 1)


def test_a_range_without_messages_is_done_at_once(past: Past) -> None:
    past.some(1)
    extent = past.replay(Asked(AT + SECOND))
    assert (extent.total, extent.owed, extent.done, past.owed) == (0, 0, True, set())


def test_messages_of_before_the_endpoint_existed_are_owed(past: Past) -> None:
    ids = past.some(3, told=False)
    assert (past.desk.deliveries(), past.replay().owed, past.owed) == ([], 3, set(ids))
    assert [one.message_id for one in past.desk.claim(now=LATER)] == ids
    assert {(row.attempts, row.created_at) for row in past.desk.deliveries()} == {(0, LATER)}


def test_what_was_skipped_while_it_was_disabled_is_owed_and_says_so_no_more(past: Past) -> None:
    past.disabled()
    ids = past.some(2)
    past.enabled()
    assert past.survey().counts == {Standing.SKIPPED: 2}
    assert (past.replay().owed, past.owed) == (2, set(ids))
    assert {row.reason for row in past.desk.deliveries()} == {None}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, "abc"),
        ({"types": ("notification.created",)}, "ab"),
        ({"types": ("source.*",)}, ""),
        ({"sources": ("mail",)}, "b"),
        ({"kinds": ("Transfer*",)}, "a"),
        ({"statuses": ("resolved",)}, "c"),
    ],
)
def test_only_what_it_wants_now_is_owed(past: Past, filters: dict[str, Any], wanted: str) -> None:
    past.desk.source("mail")
    ids = {"a": past.store("a", told=False, kind="TransferDomain")}
    stored = past.desk.store({"id": "b", "state": "new"}, source="mail", interests=(), now=AT)
    ids["b"] = stored.revisions[0].message_id
    ids["c"] = past.store("a", "resolved", second=1, told=False)
    past.wants(**filters)
    assert past.survey().total == len(wanted)
    assert (past.replay().owed, past.owed) == (len(wanted), {ids[name] for name in wanted})


def test_operational_messages_are_owed_only_where_they_are_asked_for(past: Past) -> None:
    notice = Notice(MessageType.SOURCE_FAILING, 1, b"{}")
    with past.desk.database.transaction() as session:
        outbox.owe_notice(session, notice, [], AT)
        endpoints.owe_test(session, "erp", b"{}", SECOND, AT)
    assert past.replay().total == 0
    past.wants(types=("source.*",))
    assert (past.replay().owed, len(past.owed)) == (1, 1)


@pytest.fixture
def every(past: Past) -> dict[str, str]:
    """A message of each standing; its id by that."""
    ids = {"delivered": past.store("d")}
    past.desk.deliver()
    ids["exhausted"] = past.store("e")
    past.desk.change(Delivery, {"status": "exhausted", "round": 9}, message_id=ids["exhausted"])
    past.disabled()
    ids["skipped"] = past.store("s")
    past.enabled()
    ids["pending"] = past.store("p")
    past.desk.change(Delivery, {"next_attempt_at": LATER + SECOND, "round": 4}, message_id=ids["pending"])
    return ids | {"missing": past.store("m", told=False)}


@pytest.mark.parametrize("standing", list(Standing))
def test_a_status_narrows_it_to_messages_of_which_that_became(past: Past, every: dict[str, str], standing: str) -> None:
    assert past.survey(past.only(standing)).counts == {standing: 1}
    extent = past.replay(past.only(standing))
    assert (extent.total, extent.owed, past.owed) == (1, 1, {every[standing]})


def test_without_a_status_it_is_all_and_says_what_became_of_them(past: Past, every: dict[str, str]) -> None:
    assert past.survey().counts == dict.fromkeys(Standing, 1)
    assert (past.replay().owed, past.owed) == (5, set(every.values()))


def test_what_waits_for_its_retry_is_due_at_once_and_not_doubled(past: Past, every: dict[str, str]) -> None:
    before = len(past.desk.deliveries())
    past.replay()
    row = of(past.desk.deliveries(), every["pending"])
    assert (row.next_attempt_at, row.round, len(past.desk.deliveries())) == (LATER, 0, before + 1)


def test_an_open_request_stays_as_it_is(past: Past) -> None:
    past.some(1)
    (due,) = past.desk.claim(now=LATER - SECOND)
    before = past.desk.deliveries()
    extent = past.replay()
    assert (extent.total, extent.owed, past.desk.deliveries()) == (1, 0, before)
    assert past.desk.record([past.desk.judged(due, 200, LATER)], LATER)
    assert [row.status for row in past.desk.deliveries()] == ["delivered"]


def test_one_whose_lease_has_ended_is_owed_as_any_other(past: Past) -> None:
    past.some(1)
    (due,) = past.desk.claim(now=AT)
    assert past.replay().owed == 1
    assert past.desk.record([past.desk.judged(due, 200, LATER)], LATER) == []
    assert len(past.desk.claim(now=LATER)) == 1


def test_other_endpoints_are_left_alone(past: Past) -> None:
    past.desk.endpoint("crm")
    past.some(2)
    past.replay()
    assert past.desk.endpoint_row("crm").due_at is None
    assert {row.endpoint_id for row in past.desk.deliveries()} == {1}


@pytest.mark.usefixtures("every")
def test_a_survey_writes_nothing(past: Past) -> None:
    before = past.desk.deliveries(), past.desk.rows(EndpointRow)
    past.survey()
    assert ((past.desk.deliveries(), past.desk.rows(EndpointRow)), past.rows) == (before, [])


def test_messages_of_another_format_get_their_form_with_it(past: Past) -> None:
    ids = past.some(2, told=False)
    past.wants(format="cloudevents")
    past.replay()
    assert {(row.message_id, row.format) for row in past.desk.rows(Form)} == {(one, "cloudevents") for one in ids}


def test_statements_have_a_bounded_size(past: Past) -> None:
    past.some(30)
    with parameters(past.desk.database) as counts:
        past.replay(portion=5)
    assert max(counts) < 30


def test_it_wakes_the_endpoint(past: Past) -> None:
    past.some(1)
    past.desk.change(EndpointRow, {"due_at": AT + timedelta(days=1)}, name="erp")
    past.replay()
    assert past.desk.endpoint_row("erp").due_at == LATER


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_statement_of_a_portion_looks_through_all_there_is(past: Past) -> None:
    past.store("a", told=False)
    for state in ("read", "received", "resolved"):
        past.store("a", state, 1)
    past.wants(format="cloudevents")
    steps = past.steps(portion=1)
    said: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        said.append((statement, values))

    next(steps)
    next(steps)
    event.listen(past.desk.database.engine, "before_cursor_execute", hear)
    next(steps)
    event.remove(past.desk.database.engine, "before_cursor_execute", hear)
    explained = [(statement, values) for statement, values in said if statement.startswith(("SELECT", "UPDATE"))]
    with past.desk.database.engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", values).all() for one, values in explained]
    lines = [line[-1] for plan in plans for line in plan]
    assert any("message_created" in line for line in lines)
    assert [line for line in lines if line.startswith(("SCAN message", "SCAN delivery"))] == []
