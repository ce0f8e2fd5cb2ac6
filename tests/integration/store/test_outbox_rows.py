from datetime import datetime, timedelta

import orjson
import pytest

from tests.fakes import AT, item
from tests.integration.store.desk import Desk
from worker.interest import Interest
from worker.store import endpoints
from worker.store.outbox import BEFORE_START, DISABLED
from worker.store.tables import Delivery, EndpointRow, Message

SECOND = timedelta(seconds=1)


@pytest.fixture
def erp(desk: Desk) -> Desk:
    desk.endpoint("erp")
    return desk


def in_the_order_told(rows: list[Message], *names: str) -> list[Message]:
    return sorted(rows, key=lambda row: names.index(orjson.loads(row.body)["data"]["external_id"]))


@pytest.mark.parametrize(
    "interest",
    [
        Interest("erp", types=("source.*",)),
        Interest("erp", sources=("other",)),
        Interest("erp", kinds=("Transfer*",)),
        Interest("erp", statuses=("resolved",)),
        Interest("unknown"),
    ],
    ids=["types", "sources", "kinds", "statuses", "unknown"],
)
def test_what_an_endpoint_does_not_want_has_a_message_and_no_delivery(erp: Desk, interest: Interest) -> None:
    erp.store(item("a", kind="Renew"), interests=[interest])
    assert (len(erp.rows(Message)), erp.deliveries()) == (1, [])


def test_what_passes_every_filter_is_owed(erp: Desk) -> None:
    wanted = Interest("erp", ("notification.created",), ("books",), ("Transfer*",), ("new",))
    erp.store(item("a", kind="TransferDomain"), interests=[wanted])
    (row,) = erp.deliveries()
    assert (row.status, row.reason, row.trigger, row.next_attempt_at, row.attempts) == ("pending", None, "first", AT, 0)


def test_the_same_page_again_owes_nothing_again(erp: Desk) -> None:
    erp.store(item("a"))
    erp.deliver()
    erp.store(item("a"))
    assert [row.status for row in erp.deliveries()] == ["delivered"]
    assert erp.claim() == []


def test_a_message_holds_the_sealed_bytes(erp: Desk) -> None:
    erp.store(item("a", kind="Renew"))
    (message,) = erp.rows(Message)
    content = orjson.loads(message.body)["data"]
    assert (message.type, message.kind, message.status, message.revision) == ("notification.created", "Renew", "new", 1)
    assert (content["id"], content["source"], content["provider"]) == (
        str(message.notification_id),
        "books",
        "scripted",
    )
    assert content["raw"] == item("a", kind="Renew")


@pytest.mark.parametrize(
    ("at", "status", "reason"),
    [(AT - SECOND, "skipped", BEFORE_START), (AT, "pending", None), (None, "pending", None)],
    ids=["before", "at", "undated"],
)
def test_what_occurred_before_the_start_is_skipped(
    erp: Desk, at: datetime | None, status: str, reason: str | None
) -> None:
    erp.source("late", start_at=AT)
    erp.store(item("a", at=at), source="late")
    assert [(row.status, row.reason) for row in erp.deliveries()] == [(status, reason)]


def test_a_later_change_of_an_older_notification_is_delivered(erp: Desk) -> None:
    erp.source("late", start_at=AT)
    for state in ("new", "read"):
        erp.store(item("a", state, at=AT - SECOND), source="late")
    assert [(row.revision, row.status) for row in erp.deliveries()] == [(1, "skipped"), (2, "pending")]
    assert [due.message_id for due in erp.claim()] == [erp.deliveries()[1].message_id]


def test_what_a_disabled_endpoint_would_have_got_is_skipped(erp: Desk) -> None:
    with erp.database.transaction() as session:
        endpoints.disable(session, "erp", "by hand", AT)
    erp.store(item("a"))
    assert [(row.status, row.reason, row.next_attempt_at) for row in erp.deliveries()] == [("skipped", DISABLED, None)]
    assert erp.endpoint_row("erp").due_at is None


def test_a_message_is_owed_to_one_endpoint_though_it_is_skipped_for_another(erp: Desk) -> None:
    erp.endpoint("crm")
    with erp.database.transaction() as session:
        endpoints.disable(session, "erp", "by hand", AT)
    erp.store(item("b"), item("a"))
    rows = erp.deliveries()
    assert {(row.endpoint_id, row.status, row.reason, row.next_attempt_at) for row in rows} == {
        (erp.endpoint_row("erp").id, "skipped", DISABLED, None),
        (erp.endpoint_row("crm").id, "pending", None, AT),
    }
    assert [due.message_id for due in erp.claim()] == [row.id for row in in_the_order_told(erp.rows(Message), "b", "a")]
    assert (erp.endpoint_row("erp").due_at, len(rows)) == (None, 4)


def test_a_disabled_endpoint_keeps_its_first_reason(erp: Desk) -> None:
    with erp.database.transaction() as session:
        endpoints.disable(session, "erp", "by hand", AT)
        endpoints.disable(session, "erp", "again", AT + SECOND)
    row = erp.endpoint_row("erp")
    assert (row.disabled_at, row.reason) == (AT, "by hand")


def test_an_enabled_endpoint_gets_at_once_what_was_pending(erp: Desk) -> None:
    erp.store(item("a"), item("b"))
    erp.deliver(503)
    with erp.database.transaction() as session:
        endpoints.disable(session, "erp", "by hand", AT)
    with erp.database.transaction() as session:
        assert endpoints.enable(session, "erp", AT + SECOND) == 2
    row = erp.endpoint_row("erp")
    assert (row.disabled_at, row.reason, row.failures, row.slowed, row.slow_until) == (None, None, 0, 0, None)
    assert len(erp.claim(now=AT + SECOND)) == 2


def test_an_endpoint_that_is_registered_again_keeps_what_it_is_owed(erp: Desk) -> None:
    erp.store(item("a"))
    erp.endpoint("erp")
    assert (len(erp.rows(EndpointRow)), len(erp.rows(Delivery))) == (1, 1)


def test_known_endpoints_come_by_name(erp: Desk) -> None:
    erp.endpoint("crm")
    with erp.database.reading() as session:
        assert [row.name for row in endpoints.known(session, ["erp", "crm", "nobody"])] == ["crm", "erp"]
