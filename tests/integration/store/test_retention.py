from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.fakes import AT, item
from tests.integration.store.desk import LEASE, Desk, parameters, statements
from worker.store import endpoints, retention, sources
from worker.store.tables import Attempt, Delivery, Message, NotificationRow, PollRun

OLD = AT - timedelta(days=500)
BEFORE = AT - timedelta(days=400)
ATTEMPTS_BEFORE = AT - timedelta(days=90)
_OWE_TO_ALL = """
    INSERT INTO delivery (
        message_id, endpoint_id, notification_id, revision, status, trigger, attempts, round, created_at
    )
    SELECT message_id, endpoint.id, notification_id, revision, status, trigger, attempts, round, delivery.created_at
    FROM delivery CROSS JOIN endpoint WHERE endpoint.name != 'erp'
"""


@pytest.fixture
def erp(desk: Desk) -> Desk:
    desk.endpoint("erp")
    return desk


def _prune(desk: Desk) -> dict[str, int]:
    return retention.prune(desk.database, BEFORE, ATTEMPTS_BEFORE)


def _store(desk: Desk, name: str, state: str = "resolved", status: int | None = 200) -> None:
    """An old notification whose delivery was answered so; None: it is still pending."""
    desk.now = OLD
    desk.store(item(name, state))
    if status:
        desk.deliver(status)
    desk.now = AT


def _known(desk: Desk) -> set[str]:
    return {row.external_id for row in desk.rows(NotificationRow)}


def test_what_is_closed_delivered_and_old_goes_whole(erp: Desk) -> None:
    _store(erp, "a")
    assert _prune(erp) == {"attempts": 1, "poll_runs": 0, "notifications": 1, "messages": 0}
    assert [erp.rows(model) for model in (NotificationRow, Message, Delivery, Attempt)] == [[], [], [], []]


@pytest.mark.parametrize("state", ["new", "received", "read"])
def test_what_is_open_stays(erp: Desk, state: str) -> None:
    _store(erp, "a", state)
    _prune(erp)
    assert _known(erp) == {"a"}


def test_what_is_still_to_be_delivered_stays(erp: Desk) -> None:
    _store(erp, "a", status=None)
    _prune(erp)
    assert (_known(erp), len(erp.claim())) == ({"a"}, 1)


def test_what_was_exhausted_stays(erp: Desk) -> None:
    _store(erp, "a", status=None)
    erp.change(Delivery, {"status": "exhausted"})
    _prune(erp)
    assert _known(erp) == {"a"}


def test_a_test_that_failed_goes(erp: Desk) -> None:
    with erp.database.transaction() as session:
        due = endpoints.owe_test(session, "erp", b"{}", LEASE, OLD)
    erp.record([erp.judged(due, 500)])
    assert _prune(erp)["messages"] == 1
    assert erp.deliveries() == []


def test_what_was_skipped_goes(erp: Desk) -> None:
    _store(erp, "a", status=None)
    erp.change(Delivery, {"status": "skipped"})
    _prune(erp)
    assert _known(erp) == set()


def test_what_is_young_stays(erp: Desk) -> None:
    erp.now = BEFORE
    erp.store(item("a", "resolved"))
    erp.deliver()
    _prune(erp)
    assert _known(erp) == {"a"}


def test_attempts_and_the_ledger_go_earlier(erp: Desk) -> None:
    for at in (ATTEMPTS_BEFORE - timedelta(seconds=1), ATTEMPTS_BEFORE + timedelta(seconds=1)):
        erp.now = at
        erp.store(item(f"of {at}"))
        erp.deliver()
        with erp.database.transaction() as session:
            lease = sources.acquire(session, "books", at, only_due=False)
            assert lease is not None
            sources.put_back(session, lease.token)
    assert _prune(erp) == {"attempts": 1, "poll_runs": 1, "notifications": 0, "messages": 0}
    assert (len(_known(erp)), len(erp.rows(Attempt)), len(erp.rows(PollRun))) == (2, 1, 1)


def test_old_messages_of_no_notification_go(erp: Desk) -> None:
    for at in (OLD, AT):
        erp.now = at
        with erp.database.transaction() as session:
            due = endpoints.owe_test(session, "erp", b"{}", timedelta(seconds=1), at)
        erp.record([erp.judged(due, 200)])
    assert _prune(erp)["messages"] == 1
    assert [row.created_at for row in erp.rows(Message)] == [AT]


def test_an_old_message_that_is_still_to_be_delivered_stays(erp: Desk) -> None:
    with erp.database.transaction() as session:
        endpoints.owe_test(session, "erp", b"{}", timedelta(seconds=1), OLD)
    assert _prune(erp)["messages"] == 0


def test_pruning_goes_in_batches(erp: Desk) -> None:
    erp.now = OLD
    erp.store(*(item(f"n{number}", "resolved") for number in range(501)))
    erp.change(Delivery, {"status": "delivered"})
    with statements(erp.database) as said:
        assert _prune(erp)["notifications"] == 501
    assert len([line for line in said if line.startswith("DELETE FROM notification")]) == 2


def test_what_is_pruned_of_a_notification_is_not_named_one_by_one(erp: Desk) -> None:
    erp.now = OLD
    erp.store(*(item(f"n{number}", "resolved") for number in range(20)))
    with erp.database.transaction() as session:
        for number in range(50):
            endpoints.register(session, f"e{number}", OLD)
        session.execute(text(_OWE_TO_ALL))
    erp.change(Delivery, {"status": "delivered"})
    with parameters(erp.database) as counts:
        assert _prune(erp)["notifications"] == 20
    assert max(counts) < 50
    assert erp.deliveries() == []
