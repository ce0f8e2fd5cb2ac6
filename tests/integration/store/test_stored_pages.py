from contextlib import suppress
from datetime import timedelta

import pytest

from tests.fakes import AT, item
from tests.integration.store.desk import Desk, PowerCutError, power_cut, statements
from worker.notification import RejectedItem, Status
from worker.revision import MessageType
from worker.store import rejected
from worker.store.tables import Delivery, Message, NotificationRow, RejectedRow

LATER = AT + timedelta(hours=1)
TABLES = ("notification", "message", "delivery")


def _writes(said: list[str]) -> list[str]:
    return [text for text in said if text.split()[0] in {"INSERT", "UPDATE", "DELETE"}]


def test_a_page_that_is_known_costs_one_look_up_and_writes_nothing(desk: Desk) -> None:
    desk.endpoint("erp")
    page = [item(f"n{number}") for number in range(50)]
    desk.store(*page)
    with statements(desk.database) as said:
        stored = desk.store(*page)
    assert stored.revisions == ()
    assert _writes(said) == []
    assert len([text for text in said if "JOIN notification" in text or "FROM notification" in text]) == 1


@pytest.mark.parametrize("endpoints", [1, 3])
def test_the_statements_of_a_page_do_not_grow_with_its_rows(desk: Desk, endpoints: int) -> None:
    for number in range(endpoints):
        desk.endpoint(f"e{number}")
    with statements(desk.database) as few:
        desk.store(item("a"))
    with statements(desk.database) as many:
        desk.store(*(item(f"n{number}") for number in range(200)))
    assert len(many) == len(few)
    assert len([text for text in many if text.startswith("INSERT INTO notification")]) == 1


def test_a_transaction_that_fails_at_any_statement_leaves_nothing(desk: Desk) -> None:
    desk.endpoint("erp")
    cuts = 0
    while not desk.rows(NotificationRow):
        cuts += 1
        with suppress(PowerCutError), power_cut(desk.database, at=cuts):
            desk.store(item("a"), item("b"))
        counts = {len(desk.rows(model)) for model in (NotificationRow, Message, Delivery)}
        assert counts in ({0}, {2})
    assert cuts > 5


def test_a_changed_row_is_the_next_revision_and_says_what_it_was(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"))
    (revision,) = desk.store(item("a", "read")).revisions
    (row,) = desk.rows(NotificationRow)
    assert (revision.number, revision.type, revision.previous_status) == (2, MessageType.UPDATED, Status.NEW)
    assert (row.revision, row.status, row.message_id) == (2, "read", revision.message_id)
    assert {message.revision: message.status for message in desk.rows(Message)} == {1: "new", 2: "read"}


def test_what_is_known_keeps_when_it_was_first_seen(desk: Desk) -> None:
    desk.store(item("a"))
    stored = desk.store(item("a", "read"), now=LATER)
    assert stored.first_seen_at == {"a": AT}
    assert [row.first_seen_at for row in desk.rows(NotificationRow)] == [AT]


def test_there_and_back_again_makes_three_messages(desk: Desk) -> None:
    ids = [desk.store(item("a", state)).revisions[0].message_id for state in ("new", "read", "new")]
    assert len(set(ids)) == 3
    assert len(desk.rows(Message)) == 3


def test_absent_and_null_are_the_same(desk: Desk) -> None:
    desk.store(item("a", text=None, nested={"deep": None}))
    assert desk.store(item("a", nested={})).revisions == ()


def test_a_volatile_member_is_no_change(desk: Desk) -> None:
    desk.store(item("a", seen=1))
    assert desk.store(item("a", seen=2)).revisions == ()


def test_an_older_copy_reopens_nothing_and_a_newer_one_does(desk: Desk) -> None:
    desk.store(item("a", "resolved", updated=AT.isoformat()))
    assert desk.store(item("a", "new", updated=AT.isoformat())).revisions == ()
    (reopened,) = desk.store(item("a", "new", updated=LATER.isoformat())).revisions
    assert (reopened.number, reopened.previous_status) == (2, Status.RESOLVED)


def test_what_runs_out_is_told_as_expired(desk: Desk) -> None:
    desk.store(item("a", until=LATER.isoformat()))
    (revision,) = desk.store(item("a", until=LATER.isoformat()), now=LATER + timedelta(seconds=1)).revisions
    assert (revision.type, revision.number) == (MessageType.EXPIRED, 2)


def test_what_has_run_out_when_first_seen_is_created(desk: Desk) -> None:
    (revision,) = desk.store(item("a", until=AT.isoformat()), now=LATER).revisions
    assert (revision.type, revision.item.notification.status) == (MessageType.CREATED, Status.EXPIRED)


def test_two_copies_in_one_page_are_two_revisions(desk: Desk) -> None:
    desk.endpoint("erp")
    stored = desk.store(item("a"), item("b"), item("a", "read"))
    assert [(one.item.notification.external_id, one.number) for one in stored.revisions] == [
        ("a", 1),
        ("b", 1),
        ("a", 2),
    ]
    assert sorted(row.revision for row in desk.deliveries()) == [1, 1, 2]
    assert {row.external_id: row.revision for row in desk.rows(NotificationRow)} == {"a": 2, "b": 1}


def test_the_same_copy_twice_in_one_page_is_one(desk: Desk) -> None:
    assert len(desk.store(item("a"), item("a")).revisions) == 1


def test_two_sources_may_use_the_same_ids(desk: Desk) -> None:
    desk.source("other")
    desk.store(item("a"))
    desk.store(item("a"), source="other")
    assert len({row.id for row in desk.rows(NotificationRow)}) == 2


def test_an_empty_page_is_nothing(desk: Desk) -> None:
    assert desk.store().revisions == ()


@pytest.mark.parametrize("place", [0, 3, 6])
def test_what_the_database_refuses_comes_back_and_the_rest_is_stored(desk: Desk, place: int) -> None:
    page = [item(f"n{number}") for number in range(7)]
    page[place] = item("half a pair \ud800")
    stored = desk.store(*page)
    assert [refused.raw for refused in stored.refused] == [page[place]]
    assert stored.refused[0].reason.startswith("the database refuses it: ")
    assert len(desk.rows(NotificationRow)) == 6
    assert len(stored.revisions) == 6
    assert desk.store(*page).revisions == ()


@pytest.mark.parametrize("name", ["at", "updated"])
def test_an_instant_before_all_years_is_refused_and_the_rest_is_stored(desk: Desk, name: str) -> None:
    desk.endpoint("erp")
    bad = item("b") | {name: "0001-01-01T00:00:00+05:00"}
    stored = desk.store(item("a"), bad, item("c"))
    assert [refused.raw for refused in stored.refused] == [bad]
    assert {row.external_id for row in desk.rows(NotificationRow)} == {"a", "c"}
    assert len(desk.rows(Delivery)) == 2


def test_two_copies_are_two_revisions_also_beside_what_the_database_refuses(desk: Desk) -> None:
    page = [item(f"n{number}") for number in range(20)]
    stored = desk.store(item("a"), item("half a pair \ud800"), *page, item("a", "read"))
    ours = [one for one in stored.revisions if one.item.notification.external_id == "a"]
    assert [(one.number, one.type, one.previous_status) for one in ours] == [
        (1, MessageType.CREATED, None),
        (2, MessageType.UPDATED, Status.NEW),
    ]
    assert {row.revision for row in desk.rows(NotificationRow) if row.external_id == "a"} == {2}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", ["id", "kind"])
def test_a_nul_is_refused_by_postgresql_alone(desk: Desk, name: str) -> None:
    bad = item("b") | {name: "nul \x00"}
    stored = desk.store(item("a"), bad, item("c"))
    assert [refused.raw for refused in stored.refused] == [bad]
    assert {row.external_id for row in desk.rows(NotificationRow)} == {"a", "c"}


def test_the_same_pages_on_an_empty_database_make_the_same_ids(desk: Desk) -> None:
    states = ("new", "read", "resolved")
    first = [desk.store(item("a", state)).revisions[0].message_id for state in states]
    for model in (Message, NotificationRow):
        with desk.database.transaction() as session:
            for row in desk.rows(model):
                session.delete(row)
    assert [desk.store(item("a", state)).revisions[0].message_id for state in states] == first


def _keep(desk: Desk, raw: object, reason: str) -> list[RejectedRow]:
    with desk.database.transaction() as session:
        rejected.keep(session, 1, [RejectedItem(raw, reason)], desk.now)
    return desk.rows(RejectedRow)


def test_a_rejected_item_is_kept_once_and_counted(desk: Desk) -> None:
    _keep(desk, {"a": 1}, "it has no id")
    desk.now = LATER
    (row,) = _keep(desk, {"a": 1}, "it still has no id")
    assert (row.count, row.reason, row.raw) == (2, "it still has no id", '{"a": 1}')
    assert (row.first_seen_at, row.last_seen_at) == (AT, LATER)


@pytest.mark.parametrize("reason", ["nul \x00", "half a pair \ud800"])
def test_no_reason_keeps_a_rejected_item_from_being_kept(desk: Desk, reason: str) -> None:
    (row,) = _keep(desk, "\ud800 no object \x00", reason)
    assert row.reason.startswith(reason[:3])


def test_what_was_normalised_after_all_is_forgotten(desk: Desk) -> None:
    _keep(desk, 1, "no object")
    (kept, _) = _keep(desk, 2, "no object")
    with desk.database.transaction() as session:
        assert [row.raw for row in rejected.those(session, rejected.ids_of(session, 1))] == ["1", "2"]
        rejected.forget(session, [kept.id or 0])
    assert [row.raw for row in desk.rows(RejectedRow)] == ["2"]


def test_nothing_rejected_writes_nothing(desk: Desk) -> None:
    with statements(desk.database) as said, desk.database.transaction() as session:
        rejected.keep(session, 1, [], desk.now)
    assert said == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_id_with_a_nul_is_known_again_by_sqlite(desk: Desk) -> None:
    page = [item("a"), item("nul \x00")]
    assert len(desk.store(*page).revisions) == 2
    assert desk.store(*page).revisions == ()
    assert [revision.number for revision in desk.store(page[0], item("nul \x00", "read")).revisions] == [2]


def test_an_id_is_known_again_however_it_is_written(desk: Desk) -> None:
    page = [item(name) for name in ('"', "\\u0000", "{", "é😀", "a b", "\x1f", "null")]
    assert len(desk.store(*page).revisions) == 7
    assert desk.store(*page).revisions == ()


def test_a_row_that_is_there_twice_is_told_as_often_as_it_differs(desk: Desk) -> None:
    desk.store(item("a"))
    stored = desk.store(item("a", "read"), item("b"), item("a", "read"))
    assert [(one.item.notification.external_id, one.number) for one in stored.revisions] == [("a", 2), ("b", 1)]


def test_a_page_that_is_refused_whole_costs_little_more_than_a_try_a_row(desk: Desk) -> None:
    with statements(desk.database) as said:
        stored = desk.store(*(item(f"half a pair \ud800 {number}") for number in range(200)))
    assert len(stored.refused) == 200
    assert len([text for text in said if "SAVEPOINT" in text]) < 1.3 * 200
