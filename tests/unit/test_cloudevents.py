import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.cloudevents import event
from worker.envelope import encode, json_bytes
from worker.revision import MessageType

ID = str(UUID(int=7))
CHARACTERS = st.characters() | st.characters(categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=20)
NUMBERS = st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)
CONTENTS = st.dictionaries(TEXTS, VALUES, max_size=5)


def shown(content: dict[str, Any], source: str | None = "books", of: str | None = ID) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event(encode(MessageType.UPDATED, AT, content), "msg_1", source, of))
    return found


def test_an_event_has_the_attributes_of_the_specification() -> None:
    assert shown({"a": 1}) == {
        "specversion": "1.0",
        "id": "msg_1",
        "source": "/tocsin/sources/books",
        "type": "notification.updated",
        "time": "2026-03-20T12:00:00Z",
        "subject": ID,
        "datacontenttype": "application/json",
        "data": {"a": 1},
    }


def test_what_concerns_no_source_has_neither_its_name_nor_a_subject() -> None:
    found = shown({}, None, None)
    assert (found["source"], "subject" in found) == ("/tocsin", False)


@given(CONTENTS)
def test_the_data_is_that_of_the_message_byte_for_byte(content: dict[str, Any]) -> None:
    written = json_bytes(content)
    standard = encode(MessageType.CREATED, AT, content)
    form = event(standard, "msg_1", "books", ID)
    assert form.endswith(b',"data":' + written + b"}")
    assert standard.endswith(b',"data":' + written + b"}")


@given(CONTENTS)
def test_the_data_means_what_that_of_the_message_means(content: dict[str, Any]) -> None:
    standard = encode(MessageType.CREATED, AT, content)
    assert json.loads(event(standard, "msg_1", None, None))["data"] == json.loads(standard)["data"] == content


@given(CONTENTS, st.none() | st.just("books"), st.none() | st.just(ID))
def test_the_same_message_is_the_same_event(content: dict[str, Any], source: str | None, of: str | None) -> None:
    standard = encode(MessageType.CREATED, AT, content)
    assert event(standard, "msg_1", source, of) == event(standard, "msg_1", source, of)


@given(CONTENTS, st.sampled_from(MessageType), st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))  # noqa: DTZ001  # hypothesis adds the zone
def test_the_cloudevents_library_takes_every_event(content: dict[str, Any], kind: MessageType, at: datetime) -> None:
    body = event(encode(kind, at, content), "msg_1", "books", ID)
    found = from_structured_event(HTTPMessage({"content-type": "application/cloudevents+json"}, body), JSONFormat())
    assert (found.get_id(), found.get_source(), found.get_type()) == ("msg_1", "/tocsin/sources/books", kind.value)
    assert (found.get_subject(), found.get_specversion(), found.get_time()) == (ID, "1.0", at)
    assert found.get_data() == content


@pytest.mark.parametrize("body", [b"", b"{}", b'{"type":"a"}', b'{"data":{},"type":"a","timestamp":"b"}', b"[]"])
def test_what_is_no_message_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="message msg_1 is not sealed"):
        event(body, "msg_1", None, None)
