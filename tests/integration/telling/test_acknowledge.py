from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from tests.fakes import AT, item, page
from tests.integration.store.desk import LEASE
from tests.integration.telling.stand import EVERY, Stand, Tellable
from worker.errors import AuthFailed, LeaseLost, RateLimited, Unavailable
from worker.interest import Interest
from worker.store import endpoints, receipts
from worker.store.sources import LEASE_FOR
from worker.store.tables import Delivery, NotificationRow


@pytest.fixture
def stored(stand: Stand) -> Stand:
    stand.acknowledge = "stored"
    return stand


@pytest.fixture
def delivered(stand: Stand) -> Stand:
    stand.acknowledge = "delivered"
    return stand


def _gives(*rows: object) -> Tellable:
    return Tellable([page(*rows, last=True)])


def _many(count: int) -> list[dict[str, object]]:
    return [item(f"n{number:03}") for number in range(count)]


def _next(stand: Stand) -> list[str]:
    """Whom the source's next poll, a while later, tells the provider of; nothing is new there."""
    stand.clock.turn(minutes=5)
    provider = _gives()
    stand.poll(provider)
    return provider.all_told


def test_what_is_stored_is_acknowledged_after_its_commit(stored: Stand) -> None:
    known: list[set[str]] = []
    provider = _gives(item("a"), item("b"))
    provider.meanwhile = lambda _: known.append({row.external_id for row in stored.desk.rows(NotificationRow)})
    stored.poll(provider)
    assert [sorted(told) for told in provider.told] == [["a", "b"]]
    assert known == [{"a", "b"}]
    assert stored.acknowledged == {"a": AT, "b": AT}


def test_nothing_is_acknowledged_unless_asked_for(stand: Stand) -> None:
    provider = _gives(item("a"))
    stand.poll(provider)
    assert (provider.told, stand.acknowledged) == ([], {})


def test_what_is_acknowledged_is_not_acknowledged_again(stored: Stand) -> None:
    stored.poll(_gives(item("a")))
    stored.clock.turn(minutes=5)
    again = _gives(item("a", "read"), item("b"))
    stored.poll(again)
    assert again.told == [["b"]]


@pytest.mark.parametrize("state", ["resolved", "ignored", "expired"])
def test_what_is_closed_is_not_acknowledged(stored: Stand, state: str) -> None:
    provider = _gives(item("a", state), item("b", "received"), item("c", "read"))
    stored.poll(provider)
    assert sorted(provider.all_told) == ["b", "c"]


def test_what_the_provider_no_longer_has_is_not_acknowledged(stored: Stand) -> None:
    stored.desk.store(item("a"), item("b"))
    stored.desk.change(NotificationRow, {"withdrawn_at": AT, "followed": False}, external_id="a")
    assert _next(stored) == ["b"]


def test_what_was_rejected_is_not_acknowledged(stored: Stand) -> None:
    provider = _gives({"no": "id"}, item("b"))
    stored.poll(provider)
    assert provider.told == [["b"]]


def test_a_poll_that_fails_acknowledges_nothing_and_the_next_one_everything(stored: Stand) -> None:
    broken = Tellable([page(item("a")), Unavailable()])
    stored.fails(broken, Unavailable)
    assert broken.told == []
    assert _next(stored) == ["a"]


def test_an_answer_that_never_came_is_asked_for_again(stored: Stand) -> None:
    def answered_but_unheard(_: list[str]) -> None:
        raise Unavailable

    first = _gives(item("a"))
    first.meanwhile = answered_but_unheard
    stored.fails(first, Unavailable)
    assert (first.told, stored.acknowledged) == ([["a"]], {})
    assert _next(stored) == ["a"]


def test_one_whose_lease_ended_notes_nothing_down(stored: Stand) -> None:
    provider = _gives(item("a"))
    provider.meanwhile = lambda _: stored.clock.turn(seconds=LEASE_FOR.total_seconds())
    stored.fails(provider, LeaseLost)
    assert stored.acknowledged == {}
    assert _next(stored) == ["a"]


def test_every_few_acknowledgements_renew_the_lease(stored: Stand) -> None:
    provider = _gives(*_many(95))
    provider.meanwhile = lambda _: stored.clock.turn(seconds=50)
    stored.poll(provider)
    assert len(stored.acknowledged) == 95
    assert max(len(told) for told in provider.told) <= 10


def test_a_backlog_is_worked_off_in_one_poll(stored: Stand) -> None:
    provider = _gives(*_many(250))
    stored.poll(provider)
    assert len(set(provider.all_told)) == len(provider.all_told) == 250


def test_a_backlog_does_not_keep_the_source_from_its_next_moment(stored: Stand) -> None:
    provider = _gives(*_many(250))
    provider.meanwhile = lambda _: stored.clock.turn(seconds=EVERY.total_seconds() / 9)
    stored.poll(provider)
    assert len(provider.all_told) == 100
    assert len(_next(stored)) == 150


@pytest.mark.parametrize("error", [RateLimited("slow", timedelta(minutes=9)), AuthFailed("403")])
def test_a_provider_that_refuses_to_be_told_has_the_source_wait_or_pause_and_loses_nothing(
    stored: Stand, error: Exception
) -> None:
    def refuse(_: list[str]) -> None:
        raise error

    provider = _gives(item("a"))
    provider.meanwhile = refuse
    stored.fails(provider, type(error))
    row = stored.source
    refused = isinstance(error, AuthFailed)
    assert (row.failures, row.covered_until, bool(row.paused_at)) == (int(refused), AT, refused)
    assert _next(stored) == ["a"]


def test_a_process_that_is_to_end_ends_between_acknowledgements(stored: Stand) -> None:
    provider = _gives(*_many(30))
    stored.stopping = lambda: bool(provider.told)
    stored.poll(provider)
    assert (len(provider.all_told), len(stored.acknowledged), stored.source.lease_token) == (10, 10, None)


def _poll_with(stand: Stand, *rows: object) -> list[str]:
    provider = _gives(*rows)
    stand.poll(provider)
    return provider.all_told


def test_delivered_waits_for_the_delivery_and_acknowledges_with_the_next_poll(delivered: Stand) -> None:
    assert _poll_with(delivered, item("a")) == []
    assert _next(delivered) == []
    delivered.desk.deliver()
    assert _next(delivered) == ["a"]
    assert _next(delivered) == []


def _deliver_to(stand: Stand, name: str, status: int = 200) -> None:
    """Everything that is due, to this endpoint alone; the claims of the others end by themselves."""
    stand.desk.now = stand.clock.turn(minutes=1)
    due = stand.desk.claim()
    stand.desk.record([stand.desk.judged(one, status) for one in due if one.endpoint == name])
    stand.clock.turn(seconds=LEASE.total_seconds())


def test_delivered_waits_for_every_endpoint_that_wants_it(delivered: Stand) -> None:
    delivered.interests.append(Interest("ops"))
    _poll_with(delivered, item("a"))
    _deliver_to(delivered, "erp")
    assert _next(delivered) == []
    _deliver_to(delivered, "ops")
    assert _next(delivered) == ["a"]


def test_an_endpoint_that_skips_it_is_not_waited_for(delivered: Stand) -> None:
    delivered.interests.append(Interest("ops"))
    with delivered.desk.database.transaction() as session:
        endpoints.disable(session, "ops", "away", AT)
    _poll_with(delivered, item("a"))
    _deliver_to(delivered, "erp")
    assert _next(delivered) == ["a"]


def test_what_an_endpoint_was_given_up_on_stays_unacknowledged(delivered: Stand) -> None:
    delivered.interests.append(Interest("ops"))
    _poll_with(delivered, item("a"))
    _deliver_to(delivered, "erp")
    delivered.desk.change(Delivery, {"status": "exhausted"}, status="pending")
    assert _next(delivered) == []


def test_what_nobody_wanted_was_not_delivered(delivered: Stand) -> None:
    delivered.interests = [Interest("erp", kinds=("Other",))]
    _poll_with(delivered, item("a", kind="This"))
    delivered.desk.deliver()
    assert _next(delivered) == []


def test_a_newer_revision_makes_up_for_one_that_was_given_up_on(delivered: Stand) -> None:
    _poll_with(delivered, item("a"))
    delivered.desk.change(Delivery, {"status": "exhausted"})
    delivered.clock.turn(minutes=5)
    assert _poll_with(delivered, item("a", "received")) == []
    delivered.desk.now = delivered.clock()
    delivered.desk.deliver()
    assert _next(delivered) == ["a"]


def test_a_newer_revision_is_waited_for(delivered: Stand) -> None:
    _poll_with(delivered, item("a"))
    delivered.desk.deliver()
    delivered.clock.turn(minutes=5)
    assert _poll_with(delivered, item("a", "received")) == []
    delivered.desk.now = delivered.clock()
    delivered.desk.deliver()
    assert _next(delivered) == ["a"]


def test_a_revision_that_no_endpoint_wants_is_not_waited_for(delivered: Stand) -> None:
    delivered.interests = [Interest("erp", statuses=("new",))]
    _poll_with(delivered, item("a"))
    delivered.desk.deliver()
    delivered.clock.turn(minutes=5)
    assert _poll_with(delivered, item("a", "received")) == ["a"]


@pytest.mark.parametrize("delivered", [False, True], ids=["stored", "delivered"])
def test_what_is_owed_is_found_without_looking_at_the_rest(stand: Stand, delivered: bool) -> None:  # noqa: FBT001  # a table
    rows = [item(f"c{number:04}", "resolved") for number in range(1000)]
    stand.desk.store(*rows, item("a"), item("b"), interests=[])
    with stand.desk.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    with _asked(stand) as asked, stand.desk.database.reading() as session:
        receipts.owed(session, 1, 100, delivered=delivered)
        ((statement, values),) = asked
        postgresql = session.get_bind().dialect.name == "postgresql"
        explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
        plan = session.connection().exec_driver_sql(explain + statement, values).all()
    assert "notification_unacknowledged" in str(plan)


@contextmanager
def _asked(stand: Stand) -> Iterator[list[tuple[str, Any]]]:
    """What is said to the database meanwhile, with its values."""
    said: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.startswith("SELECT notification"):
            said.append((statement, values))

    event.listen(stand.desk.database.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(stand.desk.database.engine, "before_cursor_execute", hear)
