"""Whatever a provider sends, a message can be made of it, and 256 KiB bound what it carries of the raw item."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import AT
from worker.cloudevents import event
from worker.envelope import LARGEST_RAW, Origin, json_bytes, seal
from worker.notification import Event, Normalised, Notification, Status
from worker.revision import MessageType, Revision

ORIGIN = Origin("books", "bookkeep", UUID(int=1), AT)
MIB = 1024 * 1024
CHARACTERS = st.characters() | st.characters(categories=["Cs"]) | st.sampled_from("\0\x1f\x7f\u2028\ufffe\U0010ffff")
TEXTS = st.text(CHARACTERS, max_size=30)
NUMBERS = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
RAW = st.dictionaries(TEXTS, VALUES, max_size=5)
LETTERS = st.sampled_from(["x", "\0", '"', "é", "€", "😀", "\ud800"])


def sealed(raw: Any, **members: Any) -> bytes:
    given = {"external_id": "a", "kind": "Renew", "title": None, "status": Status.READ, **members}
    item = Normalised(Notification(raw=raw, **given), "hash")
    return seal(Revision(item, 2, MessageType.UPDATED, Status.NEW, "msg_1"), ORIGIN, AT)


def content(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)["data"]
    return found


def nested(levels: int, innermost: Any = 1, *, in_lists: bool = False) -> Any:
    for _ in range(levels):
        innermost = [innermost] if in_lists else {"a": innermost}
    return innermost


@given(RAW)
def test_any_unicode_arrives_as_it_came(raw: dict[str, Any]) -> None:
    body = sealed(raw)
    assert content(body)["raw"] == raw
    assert "raw_omitted" not in content(body)


@given(RAW)
def test_a_message_is_utf8_whatever_is_in_it(raw: dict[str, Any]) -> None:
    sealed(raw).decode()


@given(st.none() | TEXTS, st.none() | TEXTS, st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=4))
def test_any_unicode_in_our_own_words_arrives_too(
    title: str, message: str, events: list[tuple[str, str | None]]
) -> None:
    told = tuple(Event(kind, AT, action) for kind, action in events)
    found = content(sealed({}, title=title, message=message, events=told))
    assert (found["title"], found["message"]) == (title, message)
    assert [(each["type"], each.get("action")) for each in found["events"]] == events


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.large_base_example])
@given(LETTERS, st.integers(0, MIB))
def test_over_256_kib_the_raw_item_is_left_out_and_never_below(letter: str, size: int) -> None:
    raw = {"text": letter * (size // len(json_bytes(letter)))}
    body, whole = sealed(raw), len(sealed({"text": ""})) + len(json_bytes(raw["text"])) - 2
    if whole > LARGEST_RAW:
        assert (content(body)["raw"], content(body)["raw_omitted"]) == (None, True)
    else:
        assert (len(body), content(body)["raw"]) == (whole, raw)


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀", "\n", "\x01"])
def test_bytes_are_counted_and_not_characters(letter: str) -> None:
    room = LARGEST_RAW - len(sealed({"text": ""}))
    count, rest = divmod(room, len(json_bytes(letter)) - 2)
    fits = {"text": letter * count + "y" * rest}
    assert (len(sealed(fits)), content(sealed(fits))["raw"]) == (LARGEST_RAW, fits)
    assert content(sealed({"text": fits["text"] + "y"}))["raw_omitted"] is True


@pytest.mark.parametrize(("extra", "omitted"), [(0, False), (1, True)])
def test_the_size_is_the_whole_messages(extra: int, *, omitted: bool) -> None:
    raw = {"text": "x" * 1000}
    room = LARGEST_RAW - len(sealed(raw, message=""))
    found = content(sealed(raw, message="m" * (room + extra)))
    assert ("raw_omitted" in found, found["message"] == "m" * (room + extra)) == (omitted, True)


@pytest.mark.parametrize("size", [LARGEST_RAW, MIB])
def test_what_a_message_says_in_our_words_is_never_cut(size: int) -> None:
    found = content(sealed({"a": 1}, message="m" * size))
    assert (found["message"] == "m" * size, found["raw"], found["raw_omitted"]) == (True, None, True)


@pytest.mark.parametrize("in_lists", [False, True])
@pytest.mark.parametrize("levels", [1, 100, 253, 254, 255, 300, 450])
@pytest.mark.parametrize("innermost", [1, 2**70, "half a pair \ud800"], ids=["small", "large", "half"])
def test_a_nested_item_arrives_as_it_came(levels: int, innermost: object, *, in_lists: bool) -> None:
    raw = {"a": nested(levels, innermost, in_lists=in_lists)}
    assert content(sealed(raw))["raw"] == raw


@pytest.mark.parametrize("in_lists", [False, True])
@pytest.mark.parametrize("levels", [1_000, 5_000, 100_000])
def test_an_item_nested_beyond_all_reading_is_left_out(levels: int, *, in_lists: bool) -> None:
    found = content(sealed({"a": nested(levels, in_lists=in_lists)}))
    assert (found["raw"], found["raw_omitted"], found["kind"]) == (None, True, "Renew")


@given(st.integers(0, 3_000), RAW)
@settings(max_examples=30, deadline=None)
def test_any_nesting_gives_a_message_that_can_be_read(levels: int, raw: dict[str, Any]) -> None:
    found = content(sealed({"a": nested(levels, raw)}))
    assert found["raw_omitted"] if found["raw"] is None else "raw_omitted" not in found


def test_the_same_revision_is_the_same_bytes_whatever_had_to_be_done_for_it() -> None:
    for raw in ({"text": "x" * MIB}, {"a": nested(400)}, {"a": nested(5_000)}, {"a": "\ud800"}):
        assert sealed(raw) == sealed(raw)


def test_a_cloudevent_of_a_message_without_its_raw_item_says_so_too() -> None:
    body = event(sealed({"text": "x" * MIB}), "msg_1", "books", str(UUID(int=1)))
    assert (json.loads(body)["data"]["raw"], json.loads(body)["data"]["raw_omitted"]) == (None, True)
