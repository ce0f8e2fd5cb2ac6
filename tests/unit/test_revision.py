from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.notification import Event, Normalised, Notification, Status
from worker.revision import Known, MessageType, Revision, content_hash, notification_id, revise

NONE: frozenset[str] = frozenset()
CLOSED = (Status.RESOLVED, Status.IGNORED)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _notification(**members: Any) -> Notification:
    return Notification(
        **({"external_id": "a", "kind": None, "title": None, "status": Status.NEW, "raw": {}} | members)
    )


def _item(**members: Any) -> Normalised:
    notification = _notification(**members)
    return Normalised(notification, content_hash(notification, NONE))


def _known(revision: Revision) -> Known:
    item = revision.item
    return Known(
        item.content_hash, revision.number, revision.message_id, item.notification.status, item.notification.updated_at
    )


def _revised(item: Normalised, known: Known | None = None) -> Revision:
    revision = revise("books", item, known)
    assert revision is not None
    return revision


def test_what_is_unknown_is_created() -> None:
    revision = _revised(_item())
    assert (revision.number, revision.type, revision.previous_status) == (1, MessageType.CREATED, None)


def test_what_is_the_same_is_nothing_to_tell() -> None:
    assert revise("books", _item(), _known(_revised(_item()))) is None


def test_what_differs_is_updated_also_in_the_same_status() -> None:
    revision = _revised(_item(raw={"text": "b"}), _known(_revised(_item(raw={"text": "a"}))))
    assert (revision.number, revision.type, revision.previous_status) == (2, MessageType.UPDATED, Status.NEW)


def test_what_runs_out_is_expired_once() -> None:
    first = _revised(_item())
    expired = _revised(_item(status=Status.EXPIRED), _known(first))
    changed = _revised(_item(status=Status.EXPIRED, raw={"text": "b"}), _known(expired))
    assert (expired.type, changed.type) == (MessageType.EXPIRED, MessageType.UPDATED)


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("state", [status for status in Status if status not in CLOSED])
def test_an_older_copy_never_reopens_what_is_closed(closed: Status, state: Status) -> None:
    known = _known(_revised(_item(status=closed, updated_at=AT)))
    for at in (None, AT - timedelta(seconds=1), AT):
        assert revise("books", _item(status=state, updated_at=at), known) is None
    assert revise("books", _item(status=state, updated_at=AT + timedelta(seconds=1)), known) is not None


def test_what_was_closed_without_a_date_is_not_reopened() -> None:
    known = _known(_revised(_item(status=Status.RESOLVED)))
    assert revise("books", _item(updated_at=AT), known) is None


def test_what_is_closed_may_change_and_stay_closed() -> None:
    known = _known(_revised(_item(status=Status.RESOLVED)))
    assert revise("books", _item(status=Status.IGNORED), known) is not None


def test_message_ids_follow_from_the_content_and_what_it_followed() -> None:
    first = _revised(_item())
    second = _revised(_item(status=Status.READ), _known(first))
    third = _revised(_item(), _known(second))
    again = _revised(_item(), None)
    assert len({first.message_id, second.message_id, third.message_id}) == 3
    assert again.message_id == first.message_id
    assert first.message_id.startswith("msg_")
    assert len(first.message_id) == 44


def test_sources_and_ids_are_told_apart() -> None:
    found = {notification_id(*pair) for pair in (("a", "bc"), ("ab", "c"), ("a", "b"), ("b", "a"))}
    assert len(found) == 4
    assert revise("books", _item(), None) != revise("other", _item(), None)


def test_a_notification_keeps_its_id_for_ever() -> None:
    assert str(notification_id("books", "1398330132")) == "7d21de98-d332-5cda-9ac4-7dc219d87e59"


def test_absent_and_null_are_the_same_at_any_depth() -> None:
    full = _notification(raw={"a": None, "b": {"c": None}, "d": [{"e": None}, None]})
    assert content_hash(full, NONE) == content_hash(_notification(raw={"b": {}, "d": [{}, None]}), NONE)


def test_the_order_of_members_is_no_difference() -> None:
    one, other = ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1})
    assert content_hash(_notification(raw=one), NONE) == content_hash(_notification(raw=other), NONE)


def test_volatile_members_are_left_out_at_the_top_alone() -> None:
    volatile = frozenset({"seen"})
    plain = content_hash(_notification(raw={"a": {"seen": 1}}), volatile)
    assert content_hash(_notification(raw={"a": {"seen": 1}, "seen": 5}), volatile) == plain
    assert content_hash(_notification(raw={"a": {"seen": 2}}), volatile) != plain


@pytest.mark.parametrize(
    "members",
    [
        {"status": Status.READ},
        {"raw": {"a": 0}},
        {"events": (Event("x", None),)},
        {"events": (Event("x", AT),)},
        {"events": (Event("x", AT, "done"),)},
    ],
)
def test_status_raw_and_events_make_the_content(members: dict[str, Any]) -> None:
    others: list[dict[str, Any]] = [{}, {"raw": {"a": 1}}, {"events": (Event("y", None),)}]
    hashes = {content_hash(_notification(**other), NONE) for other in others}
    assert content_hash(_notification(**members), NONE) not in hashes


def test_a_better_mapping_of_ours_is_no_change() -> None:
    assert _item(title="Renewed", message="It was renewed", kind="Renew").content_hash == _item().content_hash


@pytest.mark.parametrize(
    "odd", [2**64, -(2**70), "half a pair \ud800", {"\ud800": 1}], ids=["large", "small", "half", "name"]
)
def test_any_json_has_a_hash(odd: object) -> None:
    assert content_hash(_notification(raw={"a": odd}), NONE) != content_hash(_notification(raw={"a": 1}), NONE)


@given(JSON)
def test_equal_items_have_equal_hashes(value: object) -> None:
    notification = _notification(raw={"a": value})
    assert content_hash(notification, NONE) == content_hash(notification._replace(raw={"a": value}), NONE)
