"""`backlog = "latest"`: of a notification's pending revisions, the newest alone is sent."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import item
from tests.integration.store.desk import Desk, statements
from worker.delivery import Trigger
from worker.interest import Interest

SECOND = timedelta(seconds=1)
STATES = ("new", "received", "read", "resolved")


@pytest.fixture
def latest(desk: Desk) -> Desk:
    """A desk whose endpoint `erp` wants the latest alone."""
    desk.endpoint("erp")
    _want_latest(desk)
    return desk


def _want_latest(desk: Desk) -> None:
    desk.limits["erp"] = replace(desk.limits["erp"], latest=True)


def _store(desk: Desk, external_id: str, *states: str, latest: bool = True) -> None:
    for state in states:
        desk.store(item(external_id, state), interests=[Interest("erp", latest=latest)])


def _fates(desk: Desk) -> list[tuple[str, str | None]]:
    return [(row.status, row.reason) for row in desk.deliveries()]


def test_what_a_newer_revision_overtakes_is_skipped_when_that_is_owed(latest: Desk) -> None:
    _store(latest, "a", *STATES)
    assert _fates(latest) == [("skipped", "superseded")] * 3 + [("pending", None)]
    (due,) = latest.claim()
    assert due.delivery_id == 4


def test_an_endpoint_that_wants_all_gets_all(desk: Desk) -> None:
    for name in ("erp", "crm"):
        desk.endpoint(name)
    for state in STATES:
        desk.store(item("a", state), interests=[Interest("erp", latest=True), Interest("crm")])
    assert {row.endpoint_id for row in desk.deliveries() if row.status == "pending" and row.revision == 1} == {2}


def test_what_a_request_is_open_for_is_skipped_when_it_fails_and_the_newest_goes_out_at_once(latest: Desk) -> None:
    _store(latest, "a", "new")
    (due,) = latest.claim()
    _store(latest, "a", "read", "resolved")
    assert _fates(latest) == [("pending", None), ("skipped", "superseded"), ("pending", None)]
    assert latest.claim() == []
    latest.record([latest.judged(due, 500)])
    assert _fates(latest) == [("skipped", "superseded")] * 2 + [("pending", None)]
    assert [newest.delivery_id for newest in latest.claim()] == [3]


def test_what_failed_and_is_not_overtaken_stays_for_another_try(latest: Desk) -> None:
    _store(latest, "a", "new")
    _store(latest, "b", "new")
    latest.deliver(500)
    assert _fates(latest) == [("pending", None)] * 2


def test_an_endpoint_that_wants_all_keeps_what_failed_before_the_newer(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a", "new"))
    (due,) = desk.claim()
    desk.store(item("a", "read"))
    desk.record([desk.judged(due, 500)])
    assert (_fates(desk), desk.claim()) == ([("pending", None)] * 2, [])


def test_what_was_asked_for_by_hand_is_not_skipped(latest: Desk) -> None:
    _store(latest, "a", "new")
    latest.deliver(200)
    latest.redeliver(1)
    _store(latest, "a", "read")
    assert [due.delivery_id for due in latest.claim()] == [1]


def test_what_was_owed_before_it_was_configured_so_is_skipped_by_the_claim(desk: Desk) -> None:
    desk.endpoint("erp", max_in_flight=3)
    for number in range(8):
        _store(desk, f"n{number}", *STATES, latest=False)
    _want_latest(desk)
    claimed = []
    while due := desk.claim():
        claimed += due
        desk.record([desk.judged(one, 200) for one in due])
    assert [due.delivery_id for due in claimed] == list(range(4, 33, 4))
    assert _fates(desk).count(("skipped", "superseded")) == 24


def test_a_claim_skips_with_few_statements_however_much_is_overtaken(desk: Desk) -> None:
    desk.endpoint("erp")
    for state in STATES:
        desk.store(*(item(f"n{number}", state) for number in range(100)))
    _want_latest(desk)
    with statements(desk.database) as said:
        assert len(desk.claim(most=10)) == 10
    assert len([one for one in said if one.startswith("UPDATE delivery")]) <= 3
    assert [row.status for row in desk.deliveries()].count("skipped") == 300


def test_what_was_redelivered_is_not_skipped_after_it_failed_either(latest: Desk) -> None:
    _store(latest, "a", "new")
    latest.deliver(200)
    latest.redeliver(1)
    _store(latest, "a", "read")
    for _ in range(2):
        latest.deliver(500)
        latest.now += 400 * SECOND
    assert _fates(latest) == [("pending", None)] * 2
    assert [(due.delivery_id, due.trigger, due.made_as) for due in latest.claim()] == [
        (1, Trigger.REDELIVERY, Trigger.RETRY)
    ]
