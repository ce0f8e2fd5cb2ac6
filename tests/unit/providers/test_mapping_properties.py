from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import ItemRejected
from worker.notification import Notification
from worker.providers.bookkeep.normalise import normalise as bookkeep
from worker.providers.govapp.normalise import normalise as govapp
from worker.providers.realtime_register.normalise import normalise as realtime_register
from worker.revision import content_hash

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
MAPPINGS: dict[str, Callable[[Any], Notification]] = {
    "realtime_register": realtime_register,
    "bookkeep": bookkeep,
    "govapp": lambda item: govapp(item, NOW),
}
TEXT = st.text(st.characters(codec=None))
WORDS = st.sampled_from(
    ["Pending", "OPENED", "ACTION_TAKEN", "TransferDomainEvent", "2026-03-20T12:00:00Z", "<p>a</p>"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = {
    "realtime_register": (
        "fireDate readDate acknowledgeDate deliveryDate message reason process eventType notificationType payload "
        "processIdentifier processType domainName hostName certificateId"
    ),
    "bookkeep": "attributes type",
    "govapp": "availableUntilDate status createdOn updatedOn events",
}
ATTRIBUTES = [
    "id",
    "organization_id",
    "name",
    "data",
    "created_at",
    "ignored_at",
    "resolved_at",
    "type",
    "state",
    "issue_details",
    "resolve_actions",
]
EVENT = st.fixed_dictionaries({}, optional={"type": JSON, "action": JSON, "timestamp": JSON})


def items(slug: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any JSON object; and objects of the provider's own names with any JSON in them."""
    members: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(NAMES[slug].split(), JSON)
    members["payload"] = JSON | st.fixed_dictionaries({}, optional={"domainName": JSON, "certificateId": JSON})
    members["events"] = JSON | st.lists(EVENT, max_size=4)
    members["attributes"] = JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(ATTRIBUTES, JSON))
    named = st.fixed_dictionaries({"id": JSON | st.integers() | TEXT}, optional=members)
    return st.dictionaries(TEXT, JSON) | named


@pytest.mark.parametrize("slug", sorted(MAPPINGS))
@settings(deadline=None)
@given(draw=st.data())
def test_whatever_an_object_holds_it_is_mapped_or_rejected(slug: str, draw: st.DataObject) -> None:
    item = draw.draw(items(slug))

    try:
        read = MAPPINGS[slug](item)
    except ItemRejected:
        return

    assert read.raw is item
    assert 1 <= len(read.external_id) <= 512
    assert all(text is None or text.strip() for text in _texts(read))
    assert all("\x00" not in text and text.encode() for text in _texts(read) if text is not None)
    assert all(at is None or at.tzinfo is UTC for at in _instants(read))
    assert read.occurred_at is None or (read.updated_at is not None and read.updated_at >= read.occurred_at)
    assert content_hash(read, frozenset())


@pytest.mark.parametrize("slug", sorted(MAPPINGS))
@settings(deadline=None)
@given(item=JSON.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_is_rejected(slug: str, item: Any) -> None:
    with pytest.raises(ItemRejected):
        MAPPINGS[slug](item)


@pytest.mark.parametrize("slug", sorted(MAPPINGS))
@settings(deadline=None)
@given(draw=st.data())
def test_absent_and_null_mean_the_same(slug: str, draw: st.DataObject) -> None:
    item = draw.draw(items(slug)) | {"id": 1}
    bare = {name: value for name, value in item.items() if value is not None}

    read, other = MAPPINGS[slug](item), MAPPINGS[slug](bare)

    assert _canonical(read) == _canonical(other)


def _canonical(read: Notification) -> tuple[Any, ...]:
    return (*_texts(read), *_instants(read), read.status, read.events)


def _texts(read: Notification) -> list[str | None]:
    texts = [read.kind, read.title, read.provider_status, read.subject_type, read.subject_id, read.message]
    of_events = [text for event in read.events for text in (event.type, event.action)]
    return [*texts, read.reason, read.correlation_id, *of_events]


def _instants(read: Notification) -> list[datetime | None]:
    instants = [read.occurred_at, read.updated_at, read.expires_at, read.read_at, read.closed_at]
    return [*instants, read.provider_delivered_at, *(event.at for event in read.events)]
