from datetime import timedelta

import pytest

from tests.fakes import AT, item
from tests.integration.store.desk import LEASE, SCHEDULE, Desk
from worker.delivery import Due, Trigger
from worker.interest import Interest
from worker.settings import Rate
from worker.store import endpoints
from worker.store.tables import Delivery, EndpointRow, Message

SECOND = timedelta(seconds=1)


@pytest.fixture
def erp(desk: Desk) -> Desk:
    """A desk whose endpoint `erp` takes anything."""
    desk.endpoint("erp")
    return desk


def _store(desk: Desk, count: int, prefix: str = "n", interests: tuple[str, ...] | None = None) -> None:
    wanted = None if interests is None else [Interest(name) for name in interests]
    desk.store(*(item(f"{prefix}{number}") for number in range(count)), interests=wanted)


def _by_endpoint(due: list[Due]) -> dict[str, int]:
    return {name: sum(one.endpoint == name for one in due) for name in sorted({one.endpoint for one in due})}


def test_a_claim_carries_all_that_sending_needs(erp: Desk) -> None:
    erp.store(item("a"))
    (due,) = erp.claim()
    (message,) = erp.rows(Message)
    assert (due.message_id, due.body, due.endpoint, due.source) == (message.id, message.body, "erp", "books")
    assert (due.attempt, due.round, due.trigger, due.slowed, due.made_at) == (1, 1, Trigger.FIRST, 0, AT)
    assert due.notification_id == str(message.notification_id)


def test_what_is_claimed_is_not_claimed_again_before_its_lease_ends(erp: Desk) -> None:
    _store(erp, 3)
    assert len(erp.claim()) == 3
    assert erp.claim(now=AT + LEASE - SECOND) == []
    assert len(erp.claim(now=AT + LEASE)) == 3


def test_what_is_not_due_yet_is_left(erp: Desk) -> None:
    erp.store(item("a"))
    erp.deliver(500)
    assert erp.claim(now=AT + SCHEDULE[0] - SECOND) == []
    (again,) = erp.claim(now=AT + SCHEDULE[0] * 1.2)
    assert (again.attempt, again.round, again.trigger) == (2, 2, Trigger.RETRY)


def test_no_allowance_no_claim(erp: Desk) -> None:
    erp.store(item("a"))
    erp.limits.clear()
    assert erp.claim() == []


@pytest.mark.parametrize("end", ["delivered", "exhausted", "skipped"])
def test_a_revision_waits_until_the_one_before_has_ended(erp: Desk, end: str) -> None:
    first, second = (erp.store(item("a", state)).revisions[0].message_id for state in ("new", "read"))
    assert [due.message_id for due in erp.claim()] == [first]
    erp.change(Delivery, {"status": end}, message_id=first)
    erp.change(EndpointRow, {"due_at": AT})
    assert [due.message_id for due in erp.claim()] == [second]


def test_a_revision_waits_while_the_one_before_waits_for_its_retry(erp: Desk) -> None:
    for state in ("new", "read"):
        erp.store(item("a", state))
    erp.deliver(500)
    assert erp.claim() == []
    erp.now += SCHEDULE[0] * 1.2
    (due,) = erp.claim()
    erp.record([erp.judged(due, 200)])
    assert [one.message_id for one in erp.claim()] == [erp.deliveries()[1].message_id]


def test_the_order_is_one_of_each_endpoint(erp: Desk) -> None:
    erp.endpoint("crm")
    for state in ("new", "read"):
        erp.store(item("a", state))
    due = {one.endpoint: one for one in erp.claim()}
    erp.record([erp.judged(due["crm"], 200)])
    assert _by_endpoint(erp.claim()) == {"crm": 1}


def test_a_redelivered_revision_never_goes_beside_another(erp: Desk) -> None:
    for state in ("new", "read"):
        erp.store(item("a", state))
    erp.deliver()
    (second,) = erp.claim()
    first = erp.deliveries()[0]
    assert erp.redeliver(first.id or 0) == [first.id]
    assert erp.claim() == []
    erp.record([erp.judged(second, 200)])
    (again,) = erp.claim()
    assert (again.message_id, again.trigger, again.attempt, again.round) == (
        first.message_id, Trigger.REDELIVERY, 2, 1,
    )  # fmt: skip


def test_an_open_request_stays_open_when_it_is_redelivered(erp: Desk) -> None:
    erp.store(item("a"))
    (due,) = erp.claim()
    erp.redeliver(due.delivery_id)
    assert erp.claim() == []
    assert len(erp.record([erp.judged(due, 200)])) == 1


def test_what_does_not_exist_is_not_redelivered(erp: Desk) -> None:
    assert erp.redeliver(99) == []


def test_no_more_are_open_at_once_than_the_endpoint_takes(desk: Desk) -> None:
    desk.endpoint("erp", max_in_flight=3)
    _store(desk, 10)
    first = desk.claim(most=2)
    rest = desk.claim()
    assert (len(first), len(rest), desk.claim()) == (2, 1, [])
    desk.record([desk.judged(first[0], 200)])
    assert len(desk.claim()) == 1


def test_a_rate_limit_is_kept_across_claims(desk: Desk) -> None:
    desk.endpoint("erp", rate=Rate(2, SECOND))
    _store(desk, 10)
    sizes = [len(desk.claim(now=AT + SECOND * half / 2)) for half in range(7)]
    assert sizes == [2, 1, 1, 1, 1, 1, 1]


def test_a_slow_endpoint_is_left_alone_until_its_time(erp: Desk) -> None:
    _store(erp, 2)
    due = erp.claim()
    erp.record([erp.judged(due[0], 503)])
    _store(erp, 1, prefix="more")
    assert erp.claim() == []
    assert erp.claim(now=AT + 5 * SECOND)


def test_a_disabled_endpoint_is_left_alone_until_it_is_enabled(erp: Desk) -> None:
    _store(erp, 2)
    with erp.database.transaction() as session:
        endpoints.disable(session, "erp", "by hand", AT)
    assert erp.claim() == []
    with erp.database.transaction() as session:
        assert endpoints.enable(session, "erp", AT) == 2
    assert len(erp.claim()) == 2


def test_a_million_rows_get_no_more_of_a_claim_than_ten(desk: Desk) -> None:
    for name in ("large", "small"):
        desk.endpoint(name)
    _store(desk, 10_000, prefix="l", interests=("large",))
    desk.now += SECOND
    _store(desk, 10, prefix="s", interests=("small",))
    assert _by_endpoint(desk.claim(most=20)) == {"large": 10, "small": 10}


def test_a_claim_takes_no_more_than_it_was_asked_for(desk: Desk) -> None:
    for number in range(5):
        desk.endpoint(f"e{number}")
    _store(desk, 4)
    assert len(desk.claim(most=3)) == 3
    assert len(desk.claim(most=7)) == 5


def test_a_backlog_keeps_nobody_from_small_claims(desk: Desk) -> None:
    for name in ("large", "other", "small"):
        desk.endpoint(name)
    _store(desk, 50, interests=("large", "other"))
    _store(desk, 1, prefix="s", interests=("small",))
    claimed = []
    for _ in range(3):
        desk.now += SECOND
        claimed += desk.claim(most=1)
    assert _by_endpoint(claimed) == {"large": 1, "other": 1, "small": 1}


def test_the_longest_waiting_goes_first(erp: Desk) -> None:
    _store(erp, 1, prefix="late")
    erp.store(item("early"), now=AT - SECOND)
    first, second = erp.claim(most=1), erp.claim(most=1)
    waited = {row.id: row.created_at for row in erp.deliveries()}
    assert [waited[one.delivery_id] for one in first + second] == [AT - SECOND, AT]


def test_five_hundred_endpoints_are_served_by_one_claim(desk: Desk) -> None:
    with desk.database.transaction() as session:
        for number in range(500):
            endpoints.register(session, f"e{number}", AT)
    desk.endpoint("e0")
    desk.limits |= {f"e{number}": desk.limits["e0"] for number in range(500)}
    desk.store(item("a"))
    assert len(desk.claim(most=500)) == 500
