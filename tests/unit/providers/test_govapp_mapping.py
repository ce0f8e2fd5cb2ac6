from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.errors import ItemRejected
from worker.notification import Event, Notification, Status
from worker.providers.govapp.normalise import normalise

Recording = Callable[[str], Any]

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
CREATED = datetime(2026, 3, 1, 8, tzinfo=UTC)


def item(**members: Any) -> dict[str, Any]:
    least = {
        "id": "0b6f3f8e",
        "availableUntilDate": "2026-04-30T00:00:00Z",
        "status": "CREATED",
        "createdOn": "2026-03-01T08:00:00.000000Z",
    }
    return least | members


def event(kind: str, seconds: int, **members: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": f"2026-03-01T08:00:{seconds:02}Z"} | members


def after(seconds: int) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def test_every_field_of_the_vendor_s_item_is_mapped(recording: Recording) -> None:
    [raw] = recording("govapp/list_vendor_corrected")["notifications"]
    created = datetime(2022, 9, 29, 7, 38, 49, 523_617, tzinfo=UTC)
    received = datetime(2022, 9, 29, 7, 38, 51, 300_364, tzinfo=UTC)
    acted = datetime(2022, 9, 29, 8, 2, 14, 111, tzinfo=UTC)

    assert normalise(raw, NOW) == Notification(
        external_id="544b4fe0-f17f-4ef6-8c36-a533bd653c2b",
        kind="push_notification",
        title="GovApp notification",
        status=Status.RESOLVED,
        provider_status="ACTION_TAKEN",
        occurred_at=created,
        updated_at=acted,
        expires_at=datetime(2022, 10, 4, tzinfo=UTC),
        closed_at=acted,
        events=(Event("CREATED", created), Event("RECEIVED", received), Event("ACTION_TAKEN", acted, "Accept")),
        raw=raw,
    )


@pytest.mark.parametrize(
    ("page", "index", "ending", "status", "word"),
    [
        (1, 0, "0001", Status.RESOLVED, "ACTION_TAKEN"),
        (1, 1, "0002", Status.NEW, "CREATED"),
        (1, 2, "0003", Status.RECEIVED, "RECEIVED"),
        (2, 0, "0004", Status.READ, "OPENED"),
        (2, 1, "0005", Status.EXPIRED, "OPENED"),
        (2, 2, "0006", Status.NEW, "WITHDRAWN"),
        (3, 0, "0007", Status.EXPIRED, "CREATED"),
        (3, 1, "0008", Status.RESOLVED, "ACTION_TAKEN"),
    ],
)
def test_each_recorded_item_has_its_status(
    recording: Recording, page: int, index: int, ending: str, status: Status, word: str
) -> None:
    read = normalise(recording(f"govapp/list_page{page}")["notifications"][index], NOW)

    assert (read.external_id[-4:], read.status, read.provider_status) == (ending, status, word)


def test_an_expired_item_keeps_when_it_was_read(recording: Recording) -> None:
    read = normalise(recording("govapp/list_page2")["notifications"][1], NOW)

    assert (read.status, read.read_at) == (Status.EXPIRED, datetime(2026, 3, 4, 7, 1, 2, 30_405, tzinfo=UTC))


def test_the_events_of_the_recorded_item_are_put_in_order_without_their_duplicate(recording: Recording) -> None:
    read = normalise(recording("govapp/list_page3")["notifications"][1], NOW)

    assert read.events == (
        Event("CREATED", datetime(2026, 3, 6, 9, tzinfo=UTC)),
        Event("OPENED", datetime(2026, 3, 6, 9, 59, tzinfo=UTC)),
        Event("ACTION_TAKEN", datetime(2026, 3, 6, 10, 0, 0, 500_000, tzinfo=UTC), "Decline"),
    )


@pytest.mark.parametrize("identity", [None, "", True, 2.5, {}, "x" * 513])
def test_an_item_without_a_usable_id_is_rejected(identity: object) -> None:
    with pytest.raises(ItemRejected):
        normalise(item(id=identity), NOW)


@pytest.mark.parametrize(
    ("word", "until", "status"),
    [
        ("ACTION_TAKEN", "2026-03-01T00:00:00Z", Status.RESOLVED),
        ("ACTION_TAKEN", None, Status.RESOLVED),
        ("OPENED", "2026-03-20T11:59:59Z", Status.EXPIRED),
        ("OPENED", "2026-03-20T12:00:00Z", Status.READ),
        ("OPENED", None, Status.READ),
        ("RECEIVED", "soon", Status.RECEIVED),
        ("CREATED", "2026-03-20T12:00:01Z", Status.NEW),
        ("WITHDRAWN", "2026-04-20T12:00:01Z", Status.NEW),
        ("WITHDRAWN", "2026-03-19T12:00:01Z", Status.EXPIRED),
        ("opened", None, Status.NEW),
        (None, None, Status.NEW),
        (["OPENED"], None, Status.NEW),
    ],
)
def test_the_status_follows_its_order(word: object, until: str | None, status: Status) -> None:
    assert normalise(item(status=word, availableUntilDate=until), NOW).status == status


def test_the_provider_s_word_is_kept_as_it_is() -> None:
    assert normalise(item(status="Something New"), NOW).provider_status == "Something New"


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        ({}, 0),
        ({"updatedOn": "2026-03-01T08:00:03Z"}, 3),
        ({"updatedOn": None, "events": [event("RECEIVED", 4)]}, 4),
        ({"updatedOn": "2026-03-01T08:00:09Z", "events": [event("RECEIVED", 4)]}, 9),
        ({"updatedOn": "2026-02-01T08:00:09Z"}, 0),
    ],
)
def test_the_latest_known_change_is_when_it_was_updated(members: dict[str, Any], seconds: int) -> None:
    assert normalise(item(**members), NOW).updated_at == after(seconds)


def test_the_earliest_opening_and_action_are_when_it_was_read_and_closed() -> None:
    events = [event("OPENED", 9), event("OPENED", 5), event("ACTION_TAKEN", 8), event("ACTION_TAKEN", 7, action="A")]

    read = normalise(item(events=events), NOW)

    assert (read.read_at, read.closed_at) == (after(5), after(7))


@pytest.mark.parametrize("events", [None, [], "OPENED", {"type": "OPENED"}, [1, None, "OPENED", {}, {"type": ""}]])
def test_without_events_that_say_something_there_are_none(events: object) -> None:
    read = normalise(item(events=events), NOW)

    assert (read.events, read.read_at, read.closed_at) == ((), None, None)


def test_events_are_sorted_by_time_and_those_without_one_come_last() -> None:
    events = [
        event("B", 5),
        {"type": "X", "timestamp": "never"},
        event("C", 5),
        event("A", 1, action="a"),
        {"type": "Y"},
    ]

    assert normalise(item(events=events), NOW).events == (
        Event("A", after(1), "a"),
        Event("B", after(5)),
        Event("C", after(5)),
        Event("X", None),
        Event("Y", None),
    )


def test_only_exact_duplicates_of_events_are_dropped() -> None:
    events = [event("A", 1), event("A", 1), event("A", 1, action="x"), event("A", 2)]

    assert normalise(item(events=events), NOW).events == (
        Event("A", after(1)),
        Event("A", after(1), "x"),
        Event("A", after(2)),
    )


@pytest.mark.parametrize("date", [None, "soon", "2026-03-01T08:00:00", 5])
def test_an_undated_or_misdated_item_is_kept(date: object) -> None:
    read = normalise(item(createdOn=date), NOW)

    assert (read.occurred_at, read.raw["createdOn"]) == (None, date)


def test_what_govapp_does_not_know_is_null() -> None:
    read = normalise(item(message="m", reason="r"), NOW)

    assert (read.subject_type, read.subject_id, read.message, read.reason) == (None, None, None, None)
    assert (read.provider_delivered_at, read.correlation_id) == (None, None)
