from datetime import timedelta
from random import Random

import pytest

from tests.fakes import AT
from tests.integration.store.desk import Desk
from worker.store import roster, sources
from worker.store.roster import Configured
from worker.store.sources import LEASE_FOR, Lease
from worker.store.tables import Source

BEFORE_END = AT + LEASE_FOR - timedelta(seconds=1)


def _acquire(desk: Desk, *, only_due: bool = False) -> Lease | None:
    with desk.database.transaction() as session:
        return sources.acquire(session, "books", desk.now, only_due=only_due)


@pytest.fixture
def lease(desk: Desk) -> Lease:
    lease = _acquire(desk)
    assert lease is not None
    return lease


def _queue(desk: Desk, *names: str) -> list[str]:
    with desk.database.transaction() as session:
        return sources.queue_due(session, names or ["books"], desk.now)


def _configured(name: str) -> Configured:
    return Configured(name=name, provider="scripted", start_at=None, schedule="every 5m", moment=AT)


def _pause(desk: Desk) -> bool:
    with desk.database.transaction() as session:
        return sources.pause(session, "books", "the owner is away", desk.now)


def test_a_source_is_queued_once_in_ten_seconds(desk: Desk) -> None:
    first, again = _queue(desk), _queue(desk)
    desk.now += timedelta(seconds=10)
    assert (first, again, _queue(desk)) == (["books"], [], ["books"])


def test_what_the_queue_lost_is_queued_again(desk: Desk) -> None:
    _queue(desk)
    with desk.database.transaction() as session:
        sources.unqueue(session)
    assert _queue(desk) == ["books"]


def test_what_is_not_due_is_not_queued(desk: Desk) -> None:
    desk.source("other")
    desk.change(Source, {"next_poll_at": AT + timedelta(seconds=1)}, name="books")
    assert _queue(desk, "books", "other") == ["other"]
    assert _acquire(desk, only_due=True) is None
    assert _acquire(desk, only_due=False)


def test_what_is_being_polled_is_not_queued(desk: Desk, lease: Lease) -> None:
    assert lease
    assert _queue(desk) == []


def test_a_paused_source_is_polled_by_hand_alone(desk: Desk) -> None:
    assert _pause(desk)
    assert _queue(desk) == []
    assert _acquire(desk, only_due=True) is None
    assert _acquire(desk, only_due=False)


def test_a_resumed_source_is_due_at_once(desk: Desk) -> None:
    values = {"failures": 3, "failing_since": AT, "next_poll_at": AT + timedelta(hours=1), "queued_until": BEFORE_END}
    desk.change(Source, values)
    _pause(desk)
    with desk.database.transaction() as session:
        assert sources.resume(session, "books", AT)
    row = desk.source_row()
    assert (row.paused_at, row.reason, row.failures, row.failing_since) == (None, None, 0, None)
    assert _queue(desk) == ["books"]


def test_an_unknown_source_can_be_neither_paused_nor_resumed(desk: Desk) -> None:
    with desk.database.transaction() as session:
        assert not sources.pause(session, "nobody", "away", AT)
        assert not sources.resume(session, "nobody", AT)


def test_what_was_decided_about_a_source_stays(desk: Desk) -> None:
    desk.source("later", start_at=AT)
    desk.now += timedelta(days=1)
    desk.source("later", start_at=desk.now)
    row = desk.source_row("later")
    assert (row.start_at, row.created_at, row.next_poll_at) == (AT, AT, AT)


def test_a_thousand_sources_are_queued_in_one_statement(desk: Desk) -> None:
    names = [f"s{number}" for number in Random(1).sample(range(1000), 1000)]
    with desk.database.transaction() as session:
        roster.register(session, [_configured(name) for name in names], AT)
    assert _queue(desk, *names) == sorted(names)
