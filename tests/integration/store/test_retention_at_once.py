"""Pruning beside others who are at the same rows, cut off in the middle, and twice at once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import event, text

from tests.fakes import AT, item
from tests.integration.store.desk import Desk, PowerCutError, power_cut
from tests.servers import wait_until
from worker import replay
from worker.interest import Interest
from worker.store import endpoints, outbox, retention
from worker.store.replays import Asked
from worker.store.session import Database
from worker.store.tables import Attempt, Delivery, Message, NotificationRow

OLD = AT - timedelta(days=500)
BEFORE = AT - timedelta(days=400)
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
_TABLES = (NotificationRow, Message, Delivery, Attempt)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
Counts = Counter[str]


@pytest.fixture
def erp(desk: Desk) -> Desk:
    desk.endpoint("erp")
    return desk


def old_ones(desk: Desk, number: int, revisions: int = 1) -> list[int]:
    """So many notifications of long ago, delivered and closed; their deliveries."""
    desk.now = OLD
    for state in ("read", "resolved")[-revisions:]:
        desk.store(*(item(f"n{each}", state) for each in range(number)))
        desk.deliver()
    desk.now = AT
    return [row.id or 0 for row in desk.deliveries()]


def prune(database: Database) -> Counts:
    counts = Counts()
    for what, rows in retention.prune(database, BEFORE, BEFORE):
        counts.update({what: rows})
    return +counts


def prune_elsewhere(desk: Desk) -> Counts:
    """As another process does."""
    with closing(Database(desk.database.engine.url.render_as_string(hide_password=False))) as database:
        return prune(database)


def everything(desk: Desk) -> list[int]:
    return [len(desk.rows(model)) for model in _TABLES]


@contextmanager
def before_the_commit(database: Database, then: Callable[[], None]) -> Iterator[None]:
    """Right before the first commit that deletes notifications, that is done."""
    deleting = threading.Event()

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM notification"):
            deleting.set()

    def commit(_: object) -> None:
        if deleting.is_set():
            deleting.clear()
            then()

    listeners = (("before_cursor_execute", hear), ("commit", commit))
    for name, listener in listeners:
        event.listen(database.engine, name, listener)
    yield
    for name, listener in listeners:
        event.remove(database.engine, name, listener)


def is_blocked(desk: Desk) -> bool:
    with desk.database.reading() as session:
        return bool(session.execute(text(_BLOCKED)).scalar())


def test_cut_off_at_any_statement_nothing_is_left_half_and_the_next_goes_on(erp: Desk) -> None:
    old_ones(erp, 2, revisions=2)
    for at in count(1):
        before = everything(erp)
        try:
            with power_cut(erp.database, at):
                prune(erp.database)
        except PowerCutError:
            assert everything(erp) in (before, [2, 4, 4, 0], [0, 0, 0, 0])
        else:
            break
    assert at > 10
    assert everything(erp) == [0, 0, 0, 0]


def test_what_was_pruned_before_it_was_stopped_stays_pruned(erp: Desk) -> None:
    old_ones(erp, 2 * retention.WHOLE_AT_ONCE)
    for what, rows in retention.prune(erp.database, BEFORE, BEFORE):
        if what == "notifications" and rows:
            break
    assert everything(erp)[:3] == [retention.WHOLE_AT_ONCE] * 3
    assert prune(erp.database)["notifications"] == retention.WHOLE_AT_ONCE


@on_postgresql
def test_two_who_prune_at_once_share_the_work(erp: Desk) -> None:
    old_ones(erp, 600)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(prune_elsewhere, erp) for _ in range(2)]
        gone = both[0].result(60) + both[1].result(60) + prune(erp.database)
    assert gone == {"attempts": 600, "notifications": 600}
    assert everything(erp) == [0, 0, 0, 0]


@on_postgresql
def test_what_is_being_redelivered_is_not_pruned(erp: Desk) -> None:
    first, _ = old_ones(erp, 2)
    with erp.database.transaction() as session:
        assert outbox.redeliver(session, [first], AT) == [first]
        assert prune_elsewhere(erp)["notifications"] == 1
    assert prune(erp.database) == {}
    assert [due.delivery_id for due in erp.claim()] == [first]


@on_postgresql
def test_a_redelivery_that_comes_while_it_is_pruned_says_that_it_is_gone(erp: Desk) -> None:
    [only] = old_ones(erp, 1)
    with ThreadPoolExecutor(1) as threads:
        redelivered: list[Future[list[int]]] = []

        def redeliver() -> None:
            redelivered.append(threads.submit(erp.redeliver, only))
            wait_until(lambda: is_blocked(erp))

        with before_the_commit(erp.database, redeliver):
            prune(erp.database)
        assert redelivered[0].result(60) == []
    assert everything(erp) == [0, 0, 0, 0]


@on_postgresql
def test_a_replay_to_a_new_endpoint_that_comes_while_it_is_pruned_owes_what_is_left(erp: Desk) -> None:
    old_ones(erp, 2)
    erp.endpoint("crm")
    with ThreadPoolExecutor(1) as threads:
        replayed: list[Future[int]] = []

        def begin() -> None:
            replayed.append(threads.submit(replay_all, erp, "crm"))
            wait_until(lambda: is_blocked(erp))

        with before_the_commit(erp.database, begin):
            prune(erp.database)
        assert replayed[0].result(60) == 0
    assert everything(erp) == [0, 0, 0, 0]


def replay_all(desk: Desk, endpoint: str) -> int:
    """All that was ever made, to that endpoint; how many were owed."""
    about = replay.survey(desk.database, Interest(endpoint), Asked(OLD), AT)
    return [extent.owed for extent in replay.replay(desk.database, about, lambda: AT, portion=7)][-1]


@on_postgresql
def test_what_is_being_replayed_is_not_pruned(erp: Desk) -> None:
    old_ones(erp, 2)
    erp.endpoint("crm")
    message = erp.rows(Message)[0]
    with erp.database.transaction() as session:
        session.execute(text("SELECT id FROM message WHERE id = :id FOR KEY SHARE"), {"id": message.id})
        assert prune_elsewhere(erp)["notifications"] == 1
    assert [row.id for row in erp.rows(Message)] == [message.id]


@on_postgresql
@pytest.mark.parametrize("endpoint", ["erp", "crm"])
def test_pruned_and_replayed_and_redelivered_at_once_what_is_said_to_be_owed_is_there(erp: Desk, endpoint: str) -> None:
    ids = old_ones(erp, 300)
    erp.endpoint("crm")

    def redeliver() -> list[int]:
        return [done for each in ids[::-3] for done in erp.redeliver(each)]

    with ThreadPoolExecutor(4) as threads:
        pruned = [threads.submit(prune_elsewhere, erp) for _ in range(2)]
        replayed, redelivered = threads.submit(replay_all, erp, endpoint), threads.submit(redeliver)
        gone = sum((each.result(60)["notifications"] for each in pruned), 0)
        owed, again = replayed.result(60), set(redelivered.result(60))
    pending = {row.id: row.endpoint_id for row in erp.deliveries() if row.status == "pending"}
    assert again <= set(pending)
    assert gone + len(erp.rows(NotificationRow)) == 300
    its = next(row.id for row in [erp.endpoint_row(endpoint)])
    assert owed <= len([one for one in pending.values() if one == its])
    assert {row.message_id for row in erp.deliveries()} == {row.id for row in erp.rows(Message)}


@on_postgresql
def test_what_a_poll_holds_is_left_for_the_next_time(erp: Desk) -> None:
    old_ones(erp, 2)
    with erp.database.transaction() as session:
        session.execute(text("UPDATE notification SET title = 'again' WHERE external_id = 'n0'"))
        assert prune_elsewhere(erp)["notifications"] == 1
    assert prune(erp.database)["notifications"] == 1


def test_what_is_kept_does_not_hide_what_is_behind_it(erp: Desk) -> None:
    *kept, free = old_ones(erp, retention.WHOLE_AT_ONCE + 5)
    later = BEFORE - timedelta(days=1)
    erp.change(Delivery, {"status": "exhausted"})
    erp.change(Delivery, {"status": "skipped"}, id=free)
    erp.change(NotificationRow, {"first_seen_at": later}, id=erp.deliveries()[-1].notification_id)
    assert prune(erp.database)["notifications"] == 1
    assert [row.id for row in erp.deliveries()] == kept


def test_a_test_of_an_endpoint_goes_with_its_message(erp: Desk) -> None:
    with erp.database.transaction() as session:
        due = [endpoints.owe_test(session, "erp", b"{}", timedelta(seconds=1), OLD) for _ in range(2)]
    erp.record([erp.judged(due[0], 200)])
    assert prune(erp.database)["messages"] == 1
    assert [row.message_id for row in erp.deliveries()] == [due[1].message_id]
