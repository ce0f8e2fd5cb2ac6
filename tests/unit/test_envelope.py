import json
from typing import Any
from uuid import UUID

import orjson
import pytest

from tests.fakes import AT
from worker.envelope import LARGEST_RAW, Origin, encode, json_bytes, seal
from worker.notification import Event, Normalised, Notification, Status
from worker.revision import MessageType, Revision

ORIGIN = Origin("books", "bookkeep", UUID(int=1), AT)
MEMBERS = [
    "id", "source", "provider", "external_id", "revision", "kind", "title", "status", "previous_status",
    "provider_status", "subject", "message", "reason", "occurred_at", "updated_at", "expires_at", "read_at",
    "closed_at", "provider_delivered_at", "first_seen_at", "correlation_id", "events", "raw",
]  # fmt: skip


def _sealed(previous: Status | None = None, **members: Any) -> bytes:
    given = {"external_id": "a", "kind": "Renew", "title": None, "status": Status.READ, "raw": {"b": 1, "a": None}}
    item = Normalised(Notification(**(given | members)), "hash")
    return seal(Revision(item, 2, MessageType.UPDATED, previous, "msg_1"), ORIGIN, AT)


def _data(previous: Status | None = None, **members: Any) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(_sealed(previous, **members))["data"]
    return content


def test_a_message_has_the_members_of_the_interface_in_their_order() -> None:
    message = orjson.loads(_sealed(Status.NEW))
    assert list(message) == ["type", "timestamp", "data"]
    assert (message["type"], message["timestamp"]) == ("notification.updated", "2026-03-20T12:00:00Z")
    assert list(message["data"]) == MEMBERS


def test_a_message_says_what_it_is_about() -> None:
    content = _data(Status.NEW, correlation_id="88213", occurred_at=AT)
    assert (content["id"], content["source"], content["provider"]) == (str(UUID(int=1)), "books", "bookkeep")
    assert (content["status"], content["previous_status"], content["revision"]) == ("read", "new", 2)
    assert (content["occurred_at"], content["closed_at"], content["correlation_id"]) == (
        "2026-03-20T12:00:00Z", None, "88213",
    )  # fmt: skip


def test_the_raw_item_is_untouched() -> None:
    assert '"raw":{"b":1,"a":null}' in _sealed().decode()


@pytest.mark.parametrize(
    ("kind", "name", "subject"),
    [
        (None, None, None),
        ("domain", None, {"type": "domain", "id": None}),
        (None, "example.nl", {"type": None, "id": "example.nl"}),
        ("domain", "example.nl", {"type": "domain", "id": "example.nl"}),
    ],
)
def test_a_subject_is_null_when_both_its_parts_are(
    kind: str | None, name: str | None, subject: dict[str, str] | None
) -> None:
    assert _data(subject_type=kind, subject_id=name)["subject"] == subject


def test_an_event_has_an_action_where_it_has_one() -> None:
    events = (Event("sent", AT), Event("read", None, "opened"))
    assert _data(events=events)["events"] == [
        {"type": "sent", "at": "2026-03-20T12:00:00Z"},
        {"type": "read", "at": None, "action": "opened"},
    ]


def test_a_raw_item_that_makes_a_message_too_large_is_left_out() -> None:
    content = _data(raw={"text": "x" * LARGEST_RAW})
    assert (content["raw"], content["raw_omitted"]) == (None, True)


def test_a_message_of_just_the_largest_size_keeps_its_raw_item() -> None:
    room = LARGEST_RAW - len(_sealed(raw={"text": ""}))
    assert len(_sealed(raw={"text": "x" * room})) == LARGEST_RAW
    assert "raw_omitted" not in _data(raw={"text": "x" * room})
    assert "raw_omitted" in _data(raw={"text": "x" * (room + 1)})


@pytest.mark.parametrize("odd", [2**64, "half a pair \ud800"], ids=["large", "half"])
def test_any_json_can_be_sealed(odd: object) -> None:
    assert json.loads(_sealed(raw={"a": odd}))["data"]["raw"] == {"a": odd}


def test_bytes_are_compact_utf8() -> None:
    assert json_bytes({"a": [1, "é"]}) == b'{"a":[1,"\xc3\xa9"]}'


def test_an_operational_message_has_the_same_envelope() -> None:
    assert encode(MessageType.TEST, AT, {}) == b'{"type":"tocsin.test","timestamp":"2026-03-20T12:00:00Z","data":{}}'
