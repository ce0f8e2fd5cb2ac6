from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.fakes import AT, item
from tests.integration.store.desk import LEASE, Desk, parameters, statements
from worker.interest import Interest
from worker.store import endings, endpoints, outbox, retention, sources
from worker.store.outbox import Stream
from worker.store.tables import (
    Attempt,
    BackfillRow,
    BackfillWindow,
    Delivery,
    Message,
    NotificationRow,
    PollRun,
    RejectedRow,
    Replay,
    TokenRow,
)

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


def _prune(desk: Desk) -> Counter[str]:
    """What went, of what anything did."""
    counts: Counter[str] = Counter()
    for what, count in retention.prune(desk.database, BEFORE, ATTEMPTS_BEFORE):
        counts.update({what: count})
    return +counts


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
    assert _prune(erp) == {"attempts": 1, "notifications": 1}
    assert [erp.rows(model) for model in (NotificationRow, Message, Delivery, Attempt)] == [[], [], [], []]


@pytest.mark.parametrize("state", ["new", "received", "read"])
def test_what_is_open_stays(erp: Desk, state: str) -> None:
    _store(erp, "a", state)
    _prune(erp)
    assert _known(erp) == {"a"}


def test_what_was_withdrawn_while_it_was_open_goes(erp: Desk) -> None:
    _store(erp, "a", "read")
    source = erp.source_row()
    with erp.database.transaction() as session:
        stored = endings.withdraw(session, source.id or 0, "books", ["a"], OLD)
        outbox.owe(session, Stream(source.id or 0, "books", "scripted", None), stored, [Interest("erp")], OLD)
    assert _prune(erp)["notifications"] == 0
    erp.deliver()
    assert _prune(erp)["notifications"] == 1
    assert [erp.rows(model) for model in (NotificationRow, Message, Delivery, Attempt)] == [[], [], [], []]


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
    assert _prune(erp) == {"attempts": 1, "poll_runs": 1}
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
    erp.store(*(item(f"n{number}", "resolved") for number in range(retention.WHOLE_AT_ONCE + 1)))
    erp.change(Delivery, {"status": "delivered"})
    with statements(erp.database) as said:
        assert _prune(erp)["notifications"] == retention.WHOLE_AT_ONCE + 1
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


@pytest.mark.parametrize("moment", [OLD, AT])
def test_what_is_rejected_finished_or_run_out_goes_when_it_is_old(erp: Desk, moment: datetime) -> None:
    source, endpoint = erp.source_row().id or 0, erp.endpoint_row("erp").id or 0
    span: dict[str, Any] = {"since_at": OLD, "until_at": OLD}
    rows = [
        RejectedRow(source_id=source, fingerprint="a", reason="", raw="", first_seen_at=OLD, last_seen_at=moment),
        BackfillRow(id=1, source_id=source, asked_until_at=None, deliver=False, begun_at=OLD, done_at=moment, **span),
        Replay(endpoint_id=endpoint, total=1, created_at=OLD, finished_at=moment, **span),
        TokenRow(fingerprint="a", expires_at=moment),
    ]
    with erp.database.transaction() as session:
        session.add_all(rows)
        session.flush()
        session.add_all(BackfillWindow(backfill_id=1, start_at=OLD, end_at=OLD) for _ in range(2))
    expected = {"rejected": 1, "backfills": 1, "replays": 1, "tokens": 1} if moment == OLD else {}
    assert _prune(erp) == expected
    assert len(erp.rows(BackfillWindow)) == (0 if moment == OLD else 2)


def test_what_is_not_finished_stays_however_old(erp: Desk) -> None:
    source, endpoint = erp.source_row().id or 0, erp.endpoint_row("erp").id or 0
    span: dict[str, Any] = {"since_at": OLD, "until_at": OLD}
    with erp.database.transaction() as session:
        session.add_all(
            [
                BackfillRow(source_id=source, asked_until_at=None, deliver=False, begun_at=OLD, **span),
                Replay(endpoint_id=endpoint, total=1, created_at=OLD, **span),
                TokenRow(fingerprint="a"),
            ]
        )
    assert _prune(erp) == {}
