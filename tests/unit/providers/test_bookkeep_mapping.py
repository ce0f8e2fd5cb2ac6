from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.errors import ItemRejected
from worker.notification import Notification, Status
from worker.providers.bookkeep.normalise import normalise
from worker.rest.plain import plain

Recording = Callable[[str], Any]

CREATED = datetime(2026, 3, 2, 10, tzinfo=UTC)
LATER, LATEST = "2026-03-02T10:00:01Z", "2026-03-02T10:00:02Z"


def item(**attributes: Any) -> dict[str, Any]:
    least = {"id": 5, "name": "mapping_required", "created_at": "2026-03-02T10:00:00.000Z"}
    return {"id": "5", "type": "notification", "attributes": least | attributes}


def test_every_field_of_the_vendor_s_item_is_mapped(recording: Recording) -> None:
    raw = recording("bookkeep/single_vendor")["data"]
    at = datetime(2024, 6, 6, 13, 47, 41, 491_000, tzinfo=UTC)

    assert normalise(raw) == Notification(
        external_id="1",
        kind="mapping_required",
        title="Mapping Required",
        status=Status.NEW,
        provider_status="Pending",
        subject_type="organization",
        subject_id="1",
        message="Stripe Balance is not mapped\nReconnect the connection",
        occurred_at=at,
        updated_at=at,
        raw=raw,
    )


def test_the_item_of_the_vendor_s_list_is_the_same(recording: Recording) -> None:
    [raw] = recording("bookkeep/list_vendor")["data"]

    assert normalise(raw) == normalise(recording("bookkeep/single_vendor")["data"])


@pytest.mark.parametrize(
    ("page", "index", "external_id", "status", "word", "organization"),
    [
        (1, 0, "101", Status.RESOLVED, "Resolved", "12"),
        (1, 1, "102", Status.NEW, "Pending", "12"),
        (1, 2, "103", Status.IGNORED, "Ignored", "12"),
        (2, 0, "104", Status.NEW, "Snoozed", "13"),
        (2, 1, "105", Status.RESOLVED, None, "12"),
        (2, 2, "106", Status.NEW, "Pending", "12"),
        (3, 0, "107", Status.NEW, None, None),
        (3, 1, "108", Status.IGNORED, None, "12"),
    ],
)
def test_each_recorded_item_has_its_status(
    recording: Recording,
    page: int,
    index: int,
    external_id: str,
    status: Status,
    word: str | None,
    organization: str | None,
) -> None:
    read = normalise(recording(f"bookkeep/list_page{page}")["data"][index])

    assert (read.external_id, read.status, read.provider_status, read.subject_id) == (
        external_id,
        status,
        word,
        organization,
    )


@pytest.mark.parametrize(
    ("page", "index", "message"),
    [
        (
            1,
            0,
            "Sales & refunds of Example Pay are not mapped.\nAmount: 5 < 10\nOpen notifications and map the line item",
        ),
        (
            2,
            2,
            "Journal entry failed:\nDate: 2026-03-03\nPlatform: Example Books\nTry again\nContact support",
        ),
        (3, 0, None),
        (3, 1, None),
    ],
)
def test_each_recorded_message_is_plain_text(recording: Recording, page: int, index: int, message: str | None) -> None:
    assert normalise(recording(f"bookkeep/list_page{page}")["data"][index]).message == message


def test_sparse_items_are_mapped_as_far_as_they_go(recording: Recording) -> None:
    read = [normalise(raw) for raw in recording("bookkeep/list_sparse_fields")["data"]]

    assert [(one.external_id, one.kind, one.title, one.status, one.closed_at) for one in read] == [
        ("102", None, "Mapping Required", Status.NEW, None),
        ("103", None, "Mapping Required", Status.IGNORED, None),
    ]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [("7", 8, "7"), (7, 8, "7"), (None, 8, "8"), ("", 8, "8"), ({}, "8", "8")],
)
def test_the_external_id_is_the_outer_id_else_the_attribute(outer: object, inner: object, expected: str) -> None:
    assert normalise(item(id=inner) | {"id": outer}).external_id == expected


@pytest.mark.parametrize("raw", [{}, {"attributes": None}, {"id": True, "attributes": []}, {"id": 1.5}])
def test_an_item_without_a_usable_id_is_rejected(raw: dict[str, Any]) -> None:
    with pytest.raises(ItemRejected):
        normalise(raw)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"type": "Mapping Required"}, "Mapping Required"),
        ({"type": None}, "mapping required"),
        ({"type": None, "name": None}, None),
        ({"type": None, "name": "_"}, "_"),
    ],
)
def test_the_title_is_the_type_else_the_name_in_words(attributes: dict[str, Any], expected: str | None) -> None:
    assert normalise(item(**attributes)).title == expected


@pytest.mark.parametrize(
    ("attributes", "status", "closed"),
    [
        ({"state": "Pending"}, Status.NEW, None),
        ({"state": "Pending", "ignored_at": LATER, "resolved_at": LATEST}, Status.NEW, None),
        ({"state": "Ignored", "ignored_at": LATER, "resolved_at": LATEST}, Status.IGNORED, 1),
        ({"state": "Resolved", "ignored_at": LATER, "resolved_at": LATEST}, Status.RESOLVED, 2),
        ({"state": "Resolved"}, Status.RESOLVED, None),
        ({"ignored_at": LATER, "resolved_at": LATEST}, Status.RESOLVED, 2),
        ({"state": "Snoozed", "resolved_at": LATEST}, Status.RESOLVED, 2),
        ({"state": None, "ignored_at": LATER}, Status.IGNORED, 1),
        ({"state": 3}, Status.NEW, None),
        ({"state": ["Resolved"]}, Status.NEW, None),
        ({"resolved_at": "once"}, Status.RESOLVED, None),
        ({}, Status.NEW, None),
    ],
)
def test_a_known_state_wins_and_else_the_dates_tell(
    attributes: dict[str, Any], status: Status, closed: int | None
) -> None:
    read = normalise(item(**attributes))

    assert (read.status, read.closed_at) == (
        status,
        None if closed is None else CREATED + timedelta(seconds=closed),
    )


@pytest.mark.parametrize(
    ("organization", "subject"),
    [(12, ("organization", "12")), ("12", ("organization", "12")), (None, (None, None)), ({}, (None, None))],
)
def test_the_subject_is_the_organization(organization: object, subject: tuple[str | None, str | None]) -> None:
    read = normalise(item(organization_id=organization))

    assert (read.subject_type, read.subject_id) == subject


def test_the_latest_of_three_dates_is_when_it_was_updated() -> None:
    assert normalise(item(ignored_at=LATEST, resolved_at=LATER)).updated_at == CREATED + timedelta(seconds=2)
    assert normalise(item()).updated_at == CREATED


def test_a_time_without_a_zone_may_be_local_and_means_nothing() -> None:
    assert normalise(item(created_at="2026-03-02T10:00:00")).occurred_at is None


def test_what_bookkeep_does_not_know_is_null() -> None:
    read = normalise(item(reason="no"))

    assert (
        read.reason,
        read.expires_at,
        read.read_at,
        read.provider_delivered_at,
        read.correlation_id,
        read.events,
    ) == (
        None,
        None,
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a</p><p>b</p>", "a\nb"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<b>a</b><i>b</i>", "ab"),
        ("a\n <b>b</b>", "a b"),
        ("a &amp; b &lt;c&gt; &#233; &nbsp; d", "a & b <c> é d"),
        ("<script>alert('</p>')</script>a<style>p {}</style>", "a"),
        ("<script>never closed", None),
        ("</script>a", "a"),
        ("<td>a</td><td>b</td>", "a\nb"),
        ("5 < 10 and 3 > 2", "5 < 10 and 3 > 2"),
        ("<!-- comment -->a<!DOCTYPE x>", "a"),
        ("plain", "plain"),
        ("<p> &nbsp; </p>", None),
        ("<a href='javascript:x'>link</a>", "link"),
        (None, None),
        (12, "12"),
        ({}, None),
    ],
)
def test_html_becomes_plain_text(html: object, expected: str | None) -> None:
    assert plain(html) == expected
