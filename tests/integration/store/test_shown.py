from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.fakes import AT, item
from tests.integration.store.desk import Desk, parameters
from worker.interest import Interest
from worker.notification import RejectedItem
from worker.store import endpoints, fates, rejected, shown
from worker.store.shown import Filter
from worker.store.tables import NotificationRow

SECOND = timedelta(seconds=1)
NOTIFICATION = [
    "id", "source", "provider", "external_id", "revision", "kind", "title", "status", "provider_status", "subject",
    "message", "reason", "occurred_at", "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at",
    "first_seen_at", "correlation_id", "events", "raw", "delivered_at", "deliveries",
]  # fmt: skip
DELIVERY = [
    "id", "message_id", "type", "notification_id", "source", "external_id", "revision", "endpoint", "status", "reason",
    "attempts", "next_attempt_at", "delivered_at", "last_outcome", "last_status_code",
]  # fmt: skip
ATTEMPT = [
    "delivery_id", "number", "trigger", "started_at", "duration_ms", "outcome", "status_code", "response_excerpt",
]  # fmt: skip
REJECTED = ["id", "source", "reason", "first_seen_at", "last_seen_at", "count", "raw"]


@pytest.fixture
def shelf(desk: Desk) -> Desk:
    """Three notifications, a second apart, of two sources; `erp` got all, `crm` what is of `books`."""
    desk.source("mail")
    for name in ("erp", "crm"):
        desk.endpoint(name)
    both = [Interest("erp"), Interest("crm", sources=("books",))]
    desk.store(item("a", kind="TransferDomain"), interests=both)
    desk.now += SECOND
    desk.store(item("b", "read", kind="renew_domain"), source="mail", interests=both)
    desk.now += SECOND
    desk.store(item("c"), interests=both)
    return desk


def _names(desk: Desk, **wanted: object) -> list[str]:
    with desk.database.reading() as session:
        return [row["external_id"] for row in shown.notifications(session, Filter(**wanted))]  # type: ignore[arg-type]


def _deliveries(desk: Desk, **wanted: object) -> list[tuple[str, str]]:
    with desk.database.reading() as session:
        found = shown.deliveries(session, Filter(**wanted))  # type: ignore[arg-type]
    return [(row["external_id"], row["endpoint"]) for row in found]


def test_a_notification_has_the_keys_of_the_interface(shelf: Desk) -> None:
    shelf.deliver()
    with shelf.database.reading() as session:
        row = shown.notifications(session, Filter())[-1]
    assert list(row) == NOTIFICATION
    assert (row["external_id"], row["source"], row["provider"], row["status"]) == ("a", "books", "scripted", "new")
    assert (row["first_seen_at"], row["delivered_at"]) == ("2026-03-20T12:00:00Z", "2026-03-20T12:00:02Z")
    assert (row["subject"], row["events"], row["raw"]) == (None, [], item("a", kind="TransferDomain"))
    assert row["deliveries"] == {"erp": "delivered", "crm": "delivered"}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, "cba"),
        ({"source": "mail"}, "b"),
        ({"status": "new"}, "ca"),
        ({"kind": "Transfer*"}, "a"),
        ({"kind": "transfer*"}, ""),
        ({"kind": "[Tr]*"}, "ba"),
        ({"kind": "renew_domai?"}, "b"),
        ({"kind": "renewxdomain"}, ""),
        ({"since": AT + SECOND}, "cb"),
        ({"until": AT + SECOND}, "a"),
        ({"since": AT + SECOND, "until": AT + 2 * SECOND}, "b"),
        ({"limit": 2}, "cb"),
    ],
)
def test_notifications_are_narrowed_and_the_newest_come_first(
    shelf: Desk, wanted: dict[str, object], names: str
) -> None:
    assert "".join(_names(shelf, **wanted)) == names


def test_a_list_has_a_hundred_rows_and_all_with_limit_0(desk: Desk) -> None:
    desk.store(*(item(f"n{number}") for number in range(101)))
    assert (len(_names(desk)), len(_names(desk, limit=0))) == (100, 101)


def test_a_list_of_all_is_read_in_statements_of_a_bounded_size(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(1001)))
    with parameters(desk.database) as counts, desk.database.reading() as session:
        rows = shown.notifications(session, Filter(limit=0))
    assert max(counts) <= 1000
    assert [row["deliveries"] for row in rows] == [{"erp": "pending"}] * 1001


def test_a_delivery_has_the_keys_of_the_interface(shelf: Desk) -> None:
    with shelf.database.reading() as session:
        row = shown.deliveries(session, Filter(limit=1))[0]
    assert list(row) == DELIVERY
    assert (row["external_id"], row["source"], row["type"], row["revision"]) == (
        "c",
        "books",
        "notification.created",
        1,
    )
    assert (row["status"], row["attempts"], row["next_attempt_at"]) == ("pending", 0, "2026-03-20T12:00:02Z")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"endpoint": "crm"}, [("c", "crm"), ("a", "crm")]),
        ({"status": "delivered"}, []),
        ({"since": AT + 2 * SECOND}, [("c", "crm"), ("c", "erp")]),
        ({"until": AT + SECOND}, [("a", "crm"), ("a", "erp")]),
        ({"limit": 1}, [("c", "crm")]),
    ],
)
def test_deliveries_are_narrowed_and_the_newest_come_first(
    shelf: Desk, wanted: dict[str, object], found: list[tuple[str, str]]
) -> None:
    assert _deliveries(shelf, **wanted) == found


def test_a_delivered_one_has_no_next_attempt(shelf: Desk) -> None:
    shelf.deliver()
    with shelf.database.reading() as session:
        rows = shown.deliveries(session, Filter())
    assert {row["next_attempt_at"] for row in rows} == {None}
    assert {(row["last_outcome"], row["last_status_code"]) for row in rows} == {("answered", 200)}


def test_a_test_message_is_a_delivery_of_no_source(desk: Desk) -> None:
    desk.endpoint("erp")
    with desk.database.transaction() as session:
        endpoints.owe_test(session, "erp", b"{}", SECOND, AT)
    with desk.database.reading() as session:
        (row,) = shown.deliveries(session, Filter())
    assert (row["type"], row["notification_id"], row["source"], row["external_id"]) == ("tocsin.test", None, None, None)


def test_one_notification_is_shown_with_all_that_came_of_it(shelf: Desk) -> None:
    shelf.deliver(500)
    shelf.store(item("a", "read"), interests=[Interest("erp")])
    with shelf.database.reading() as session:
        identity = UUID(shown.notifications(session, Filter(until=AT + SECOND))[0]["id"])
        row = shown.notification(session, identity)
    assert row is not None
    assert list(row) == [*NOTIFICATION, "revisions", "delivery_rows"]
    assert [(each["revision"], each["type"], each["status"]) for each in row["revisions"]] == [
        (1, "notification.created", "new"),
        (2, "notification.updated", "read"),
    ]
    assert [(each["revision"], each["endpoint"], len(each["attempt_rows"])) for each in row["delivery_rows"]] == [
        (1, "erp", 1),
        (1, "crm", 1),
        (2, "erp", 0),
    ]
    assert list(row["delivery_rows"][0]["attempt_rows"][0]) == ATTEMPT
    assert row["deliveries"] == {"erp": "pending", "crm": "pending"}


def test_there_is_nothing_to_show_of_an_unknown_id(desk: Desk) -> None:
    with desk.database.reading() as session:
        assert shown.notification(session, uuid4()) is None


def test_the_deliveries_of_a_notification_are_those_of_its_latest_revision(shelf: Desk) -> None:
    shelf.deliver()
    shelf.store(item("c", "read"), interests=[Interest("erp")])
    with shelf.database.reading() as session:
        row = shown.notifications(session, Filter(limit=1))[0]
    assert row["deliveries"] == {"erp": "pending", "crm": "delivered"}


def test_subject_and_events_are_shown_as_in_a_message(shelf: Desk) -> None:
    events = '[{"type": "x", "at": null, "action": null}, {"type": "y", "at": "2026-03-20T12:00:00Z", "action": "z"}]'
    shelf.change(NotificationRow, {"subject_type": "domain", "events": events}, external_id="c")
    with shelf.database.reading() as session:
        row = shown.notifications(session, Filter(limit=1))[0]
    assert row["subject"] == {"type": "domain", "id": None}
    assert row["events"] == [{"type": "x", "at": None}, {"type": "y", "at": "2026-03-20T12:00:00Z", "action": "z"}]


def test_rejected_items_are_shown_as_they_were_sent(shelf: Desk) -> None:
    with shelf.database.transaction() as session:
        rejected.keep(session, 1, [RejectedItem({"a": None}, "no id")], AT)
        rejected.keep(session, 2, [RejectedItem([1], "no object")], AT + SECOND)
    with shelf.database.reading() as session:
        newest, oldest = shown.rejected(session, Filter())
        narrowed = [
            shown.rejected(session, wanted)
            for wanted in (Filter(source="books"), Filter(until=AT + SECOND), Filter(limit=1))
        ]
    assert list(newest) == REJECTED
    assert (newest["source"], newest["raw"], newest["count"]) == ("mail", [1], 1)
    assert (oldest["raw"], oldest["first_seen_at"]) == ({"a": None}, "2026-03-20T12:00:00Z")
    assert narrowed == [[oldest], [oldest], [newest]]


def test_a_source_fares_as_its_rows_say(shelf: Desk) -> None:
    shelf.store(item("c", "resolved"))
    with shelf.database.transaction() as session:
        rejected.keep(session, 1, [RejectedItem(1, "no object")], AT)
    with shelf.database.reading() as session:
        found = fates.of_sources(session)
    assert {name: (fate.notifications, fate.open, fate.rejected) for name, fate in found.items()} == {
        "books": (2, 1, 1),
        "mail": (1, 1, 0),
    }


def test_an_endpoint_fares_as_its_deliveries_say(shelf: Desk) -> None:
    shelf.endpoint("idle")
    shelf.record([shelf.judged(due, 200) for due in shelf.claim() if due.endpoint == "crm"][:1])
    with shelf.database.reading() as session:
        found = fates.of_endpoints(session)
    assert {name: fate.deliveries for name, fate in found.items()} == {
        "erp": {"pending": 3},
        "crm": {"delivered": 1, "pending": 1},
        "idle": {},
    }
    oldest: dict[str, datetime | None] = {name: fate.oldest_pending_at for name, fate in found.items()}
    assert oldest == {"erp": datetime(2026, 3, 20, 12, tzinfo=UTC), "crm": AT + 2 * SECOND, "idle": None}
