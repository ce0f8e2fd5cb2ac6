from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.errors import ItemRejected
from worker.notification import Notification, Status
from worker.providers import PROVIDERS
from worker.providers.realtime_register.normalise import normalise, title
from worker.revision import content_hash

Recording = Callable[[str], Any]

FIRED = datetime(2026, 3, 2, 9, tzinfo=UTC)


def item(**members: Any) -> dict[str, Any]:
    least = {"id": 5, "fireDate": "2026-03-02T09:00:00Z", "message": "text", "eventType": "TestEvent"}
    return least | members


def test_every_field_of_a_full_item_is_mapped(recording: Recording) -> None:
    raw = recording("realtime_register/single_full")

    assert normalise(raw) == Notification(
        external_id="1",
        kind="FAKE_EVENT_TYPE",
        title="FAKE EVENT TYPE",
        status=Status.RESOLVED,
        message="FAKE_MESSAGE",
        reason="FAKE_REASON",
        occurred_at=datetime(2026, 3, 14, 11, 2, 3, tzinfo=UTC),
        updated_at=datetime(2026, 3, 14, 11, 2, 3, tzinfo=UTC),
        read_at=datetime(2026, 3, 14, 11, 2, 3, tzinfo=UTC),
        closed_at=datetime(2026, 3, 14, 11, 2, 3, tzinfo=UTC),
        provider_delivered_at=datetime(2026, 3, 14, 11, 2, 53, tzinfo=UTC),
        correlation_id="1",
        raw=raw,
    )


def test_an_item_with_what_is_required_alone_is_mapped(recording: Recording) -> None:
    raw = recording("realtime_register/single_required_only")

    assert normalise(raw) == Notification(
        external_id="1",
        kind="FAKE_EVENT_TYPE",
        title="FAKE EVENT TYPE",
        status=Status.NEW,
        message="FAKEMESSAGE",
        occurred_at=datetime(2020, 8, 30, 1, 2, 3, tzinfo=UTC),
        updated_at=datetime(2020, 8, 30, 1, 2, 3, tzinfo=UTC),
        raw=raw,
    )


@pytest.mark.parametrize(
    ("page", "index", "external_id", "status", "subject"),
    [
        (1, 0, "1398330201", Status.RESOLVED, ("domain", "example.nl")),
        (1, 1, "1398330204", Status.NEW, (None, None)),
        (1, 2, "1398330205", Status.NEW, ("domain", "example.org")),
        (1, 3, "1398330209", Status.READ, ("certificate", "123211301")),
        (2, 0, "1398330210", Status.NEW, ("domain", "example.com")),
        (2, 1, "1398330214", Status.NEW, ("registry", "nl")),
        (2, 2, "1398330215", Status.RESOLVED, (None, None)),
        (2, 3, "1398330220", Status.NEW, ("host", "ns1.example.com")),
        (3, 0, "1398330221", Status.READ, (None, None)),
        (3, 1, "4294967297", Status.NEW, ("domain", "old-example.net")),
        (3, 2, "4294967301", Status.NEW, ("domain", "xn--caf-example-dbb.eu")),
    ],
)
def test_each_recorded_item_has_its_status_and_subject(
    recording: Recording,
    page: int,
    index: int,
    external_id: str,
    status: Status,
    subject: tuple[str | None, str | None],
) -> None:
    read = normalise(recording(f"realtime_register/list_page{page}")["entities"][index])

    assert (read.external_id, read.status, (read.subject_type, read.subject_id)) == (external_id, status, subject)


@pytest.mark.parametrize(
    ("name", "kind", "subject", "message"),
    [
        (
            "single_transfer_nested_payload",
            "Transfer domain",
            ("domain", "sandwave.io"),
            "Transfer of 'sandwave.io' was approved by the current domain name holder",
        ),
        ("single_transfer_top_level", "Transfer domain", ("domain", "example.nl"), "Transfer domain is completed"),
        (
            "single_certificate_null_dates",
            "Request certificate",
            ("certificate", "123211234"),
            "Certificate request completed",
        ),
    ],
)
def test_each_recorded_single_item_is_mapped(
    recording: Recording, name: str, kind: str, subject: tuple[str, str], message: str
) -> None:
    read = normalise(recording(f"realtime_register/{name}"))

    assert (read.title, (read.subject_type, read.subject_id), read.message) == (kind, subject, message)


def test_the_placeholder_without_an_id_is_rejected(recording: Recording) -> None:
    with pytest.raises(ItemRejected, match="id"):
        normalise(recording("realtime_register/list_shape")["entities"][0])


@pytest.mark.parametrize("identity", [None, "", "  ", True, 1.5, {}, [1], "x" * 513])
def test_an_item_without_a_usable_id_is_rejected(identity: object) -> None:
    with pytest.raises(ItemRejected):
        normalise(item(id=identity))


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"eventType": "AEvent", "notificationType": "BNotification"}, "AEvent"),
        ({"eventType": "", "notificationType": "BNotification"}, "BNotification"),
        ({"eventType": ["AEvent"], "notificationType": "BNotification"}, "BNotification"),
        ({"eventType": 7}, "7"),
        ({"eventType": None}, None),
    ],
)
def test_the_kind_is_the_event_type_else_the_notification_type(members: dict[str, Any], kind: str | None) -> None:
    assert normalise(item(**members)).kind == kind


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("TransferDomainEvent", "Transfer domain"),
        ("SSLCertificateExpiryReportEvent", "SSL certificate expiry report"),
        ("RenewDomainNotification", "Renew domain"),
        ("Notification", "Notification"),
        ("Event", "Event"),
        ("FAKE_EVENT_TYPE", "FAKE EVENT TYPE"),
        ("already words", "Already words"),
        ("AThing", "A thing"),
        ("HTTP2UpgradeEvent", "HTTP 2 upgrade"),
        ("CaféEvent", "Café"),
        ("___", "___"),
    ],
)
def test_the_title_is_the_kind_in_words(kind: str, expected: str) -> None:
    assert title(kind) == expected


def test_without_a_kind_there_is_no_title() -> None:
    assert normalise(item(eventType=None)).title is None


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({}, Status.NEW),
        ({"deliveryDate": "2026-03-02T09:00:01Z"}, Status.NEW),
        ({"readDate": "2026-03-02T09:00:01Z"}, Status.READ),
        ({"readDate": None, "acknowledgeDate": None}, Status.NEW),
        ({"acknowledgeDate": "2026-03-02T09:00:01Z"}, Status.RESOLVED),
        ({"readDate": "2026-03-02T09:00:01Z", "acknowledgeDate": "2026-03-02T09:00:02Z"}, Status.RESOLVED),
        ({"acknowledgedDate": "2026-03-02T09:00:01Z"}, Status.NEW),
        ({"acknowledgeDate": "once upon a time"}, Status.RESOLVED),
        ({"subjectStatus": "COMPLETED"}, Status.NEW),
    ],
)
def test_the_status_follows_from_the_dates(members: dict[str, Any], status: Status) -> None:
    assert normalise(item(**members)).status == status


def test_the_status_of_the_subject_is_not_the_notification_s() -> None:
    assert normalise(item(subjectStatus="FAILED")).provider_status is None


@pytest.mark.parametrize(
    ("members", "subject"),
    [
        ({"processType": "contact", "processIdentifier": "jd", "domainName": "a.nl"}, ("contact", "jd")),
        ({"processType": "contact", "domainName": "a.nl"}, ("domain", "a.nl")),
        ({"domainName": "a.nl", "payload": {"domainName": "b.nl"}}, ("domain", "a.nl")),
        ({"domainName": None, "payload": {"domainName": "b.nl"}}, ("domain", "b.nl")),
        ({"payload": {"domainName": "b.nl"}, "hostName": "ns.a.nl"}, ("domain", "b.nl")),
        ({"hostName": "ns.a.nl", "certificateId": 3}, ("host", "ns.a.nl")),
        ({"payload": {"hostName": "ns.b.nl"}}, ("host", "ns.b.nl")),
        ({"certificateId": 3}, ("certificate", "3")),
        ({"payload": {"certificateId": 4}}, ("certificate", "4")),
        ({"processIdentifier": "jd"}, (None, "jd")),
        ({"processIdentifier": "jd", "payload": {"certificateId": 4}}, ("certificate", "4")),
        ({"processType": "contact"}, (None, None)),
        ({"payload": "b.nl"}, (None, None)),
        ({"payload": None}, (None, None)),
        ({"domainName": {"name": "a.nl"}}, (None, None)),
    ],
)
def test_the_subject_is_looked_for_in_its_order(
    members: dict[str, Any], subject: tuple[str | None, str | None]
) -> None:
    read = normalise(item(**members))

    assert (read.subject_type, read.subject_id) == subject


@pytest.mark.parametrize(
    ("members", "updated"),
    [
        ({}, timedelta()),
        ({"readDate": "2026-03-02T09:00:05Z"}, timedelta(seconds=5)),
        ({"readDate": "2026-03-02T09:00:05Z", "acknowledgeDate": "2026-03-02T09:00:03Z"}, timedelta(seconds=5)),
        ({"acknowledgeDate": "2026-03-02T09:00:09Z"}, timedelta(seconds=9)),
        ({"readDate": "2026-03-01T09:00:00Z"}, timedelta()),
        ({"deliveryDate": "2026-03-02T10:00:00Z"}, timedelta()),
    ],
)
def test_the_latest_known_change_is_when_it_was_updated(members: dict[str, Any], updated: timedelta) -> None:
    assert normalise(item(**members)).updated_at == FIRED + updated


def test_the_dates_of_reading_acknowledging_and_delivery_keep_their_names() -> None:
    dates = {"readDate": "2026-03-02T09:00:01Z", "acknowledgeDate": "2026-03-02T09:00:02Z"}

    read = normalise(item(**dates, deliveryDate="2026-03-02T09:00:03Z"))

    assert (read.read_at, read.closed_at, read.provider_delivered_at) == tuple(
        FIRED + timedelta(seconds=after) for after in (1, 2, 3)
    )


def test_an_expiry_date_is_the_subject_s_and_not_the_notification_s() -> None:
    assert normalise(item(expiryDate="2027-03-02T09:00:00Z")).expires_at is None


def test_a_date_without_a_zone_is_utc_as_documented() -> None:
    assert normalise(item(fireDate="2026-03-02T09:00:00")).occurred_at == FIRED


@pytest.mark.parametrize("date", [None, "soon", 1_772_442_000, {"at": 1}])
def test_an_undated_or_misdated_item_is_kept(date: object) -> None:
    read = normalise(item(fireDate=date))

    assert (read.occurred_at, read.updated_at, read.raw["fireDate"]) == (None, None, date)


@pytest.mark.parametrize(("process", "expected"), [(88120001, "88120001"), ("p", "p"), (None, None), ({}, None)])
def test_the_process_is_the_correlation_id(process: object, expected: str | None) -> None:
    assert normalise(item(process=process)).correlation_id == expected


def test_no_message_is_none_and_a_message_has_no_empty_lines() -> None:
    assert normalise(item(message="  ")).message is None
    assert normalise(item(message="a  b\n\n c")).message == "a b\nc"


def test_what_no_database_holds_is_replaced_in_texts_and_kept_in_raw() -> None:
    read = normalise(item(message="a\x00b", reason="\udc00"))

    assert (read.message, read.reason, read.raw["message"]) == ("a\ufffdb", "\ufffd", "a\x00b")


def test_there_is_no_history() -> None:
    assert normalise(item()).events == ()


def test_a_new_delivery_date_alone_is_no_change() -> None:
    volatile = PROVIDERS["realtime_register"].contract.volatile
    before, after = normalise(item()), normalise(item(deliveryDate="2026-03-02T09:00:01Z"))

    assert content_hash(before, volatile) == content_hash(after, volatile)
