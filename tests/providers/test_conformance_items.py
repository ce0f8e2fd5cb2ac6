"""One suite for every provider: single items, and the mapping of any item (POLLING, section 6)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.stage import (
    Stage,
    every_provider,
    kept,
    notifications,
    read,
    with_acknowledge,
    with_fetch,
    without_acknowledge,
    without_fetch,
)
from worker.errors import ContractBroken, ItemRejected, Unavailable
from worker.notification import Outlined, Status
from worker.sandbox import Fail

# One item


@with_fetch
def test_an_item_by_id_is_the_item_of_the_list(stage: Stage) -> None:
    rows = stage.grow(3)
    assert stage.provider().fetch(rows[1].external_id) == rows[1].raw


@with_fetch
@pytest.mark.parametrize("unknown", ["4711", "987654321987654321987"])
def test_an_unknown_id_is_no_item(stage: Stage, unknown: str) -> None:
    stage.grow(1)
    assert stage.provider().fetch(unknown) is None


@with_fetch
@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_found_or_gone_is_no_item(stage: Stage, status: int) -> None:
    stage.api.faults.next(Fail(status))
    assert stage.provider().fetch("1") is None


@with_fetch
def test_a_withdrawn_item_is_no_item(stage: Stage) -> None:
    (row,) = stage.grow(1)
    stage.api.ledger.withdraw(row.external_id)
    assert stage.provider().fetch(row.external_id) is None


@with_fetch
@pytest.mark.parametrize("odd", ["1/ack", "1?a=b", "1#c", "é", "%2e%2e%2f"])
def test_an_odd_id_is_one_segment_of_the_address(stage: Stage, odd: str) -> None:
    provider = stage.provider()
    provider.fetch("1")
    plain = stage.api.requests[-1].path
    try:
        found = provider.fetch(odd)
    except ContractBroken:
        found = None
    asked = stage.api.requests[-1]
    assert (found, asked.path.count("/"), asked.query) == (None, plain.count("/"), ())


@with_fetch
def test_a_failure_is_not_taken_for_a_missing_item(stage: Stage) -> None:
    (row,) = stage.grow(1)
    stage.api.faults.next(Fail(503), times=3)
    with pytest.raises(Unavailable):
        stage.provider().fetch(row.external_id)


@without_fetch
def test_what_can_not_be_fetched_says_so(stage: Stage) -> None:
    with pytest.raises(ContractBroken):
        stage.provider().fetch("1")


@with_acknowledge
def test_what_is_acknowledged_once_may_be_acknowledged_again(stage: Stage) -> None:
    rows = stage.grow(3)
    provider = stage.provider()
    provider.acknowledge([rows[0].external_id, rows[1].external_id])
    provider.acknowledge([rows[1].external_id, "4711", rows[2].external_id])
    now = stage.clock.at
    states = [provider.normalise(item, now).status for row in rows if (item := provider.fetch(row.external_id))]
    assert states == [Status.RESOLVED] * 3


@with_acknowledge
def test_an_acknowledgement_that_fails_is_an_error(stage: Stage) -> None:
    (row,) = stage.grow(1)
    stage.api.faults.next(Fail(503), times=3)
    with pytest.raises(Unavailable):
        stage.provider().acknowledge([row.external_id])


@without_acknowledge
def test_what_can_not_be_acknowledged_says_so(stage: Stage) -> None:
    with pytest.raises(ContractBroken):
        stage.provider().acknowledge(["1"])


# The mapping


@every_provider
def test_every_state_of_a_row_has_the_status_that_the_vendor_means(stage: Stage) -> None:
    stage.grow(25)
    while stage.sandbox.change(25, stage.slug):
        stage.clock.turn(timedelta(seconds=1))
    provider = stage.provider()
    states = [state for row in stage.api.ledger.all() for state in row.states]
    assert [provider.normalise(state.raw, stage.clock.at).status for state in states] == [
        state.status for state in states
    ]


@every_provider
def test_a_row_is_dated_as_the_provider_dates_it_and_kept_untouched(stage: Stage) -> None:
    (row,) = stage.grow(1)
    found = stage.provider().normalise(row.raw, stage.clock.at)
    shown = stage.case.written(row.occurred_at)
    assert (found.external_id, found.occurred_at) == (row.external_id, stage.case.dates(shown))
    assert found.raw == row.raw


@every_provider
def test_an_outline_says_what_the_notification_does(stage: Stage) -> None:
    stage.grow(3)
    provider = stage.provider()
    items = [item for page in read(provider) for item in page.items]
    whole = [provider.normalise(item, stage.clock.at) for item in items]
    outlines = [provider.outline(item, stage.clock.at) for item in items]
    assert [_known_by(one) for one in outlines] == [_known_by(one) for one in whole]
    assert [provider.complete(one, stage.clock.at) for one in outlines] == whole


def _known_by(one: Outlined) -> tuple[Any, ...]:
    return one.external_id, one.status, one.occurred_at, one.raw, one.events


Spoil = Callable[[Stage, dict[str, Any]], Any]
ODD: dict[str, tuple[Spoil, datetime | None]] = {
    "undated": (lambda stage, raw: stage.case.dated(raw, None), None),
    "misdated": (lambda stage, raw: stage.case.dated(raw, "the day before yesterday"), None),
    "dated by a list": (lambda stage, raw: stage.case.dated(raw, [2026]), None),
    "future": (
        lambda stage, raw: stage.case.dated(raw, stage.case.written(datetime(2099, 1, 1, tzinfo=UTC))),
        datetime(2099, 1, 1, tzinfo=UTC),
    ),
}


@every_provider
@pytest.mark.parametrize("odd", sorted(ODD))
def test_an_oddly_dated_row_is_stored_and_takes_no_other_with_it(stage: Stage, odd: str) -> None:
    spoil, occurred_at = ODD[odd]
    stage.grow(3)
    raw = stage.publish("odd", lambda made: spoil(stage, made))
    stage.grow(3)
    provider = stage.provider(page_size=2)
    pages = read(provider)
    found = {one.external_id: one for one in notifications(provider, pages, stage.clock)}
    (kept,) = [one for one in found.values() if one.raw == raw]
    assert (len(found), kept.occurred_at) == (7, occurred_at)


@every_provider
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_row_without_an_id_is_rejected_and_takes_no_other_with_it(stage: Stage, size: int) -> None:
    stage.grow(3)
    nameless = [stage.publish(f"odd-{number}", lambda raw: dict(stage.case.without_id(raw))) for number in range(3)]
    good = {row.external_id for row in stage.grow(4)}
    provider = stage.provider(page_size=size)
    items = [item for page in read(provider) for item in page.items]
    assert all(raw in items for raw in nameless)
    assert good <= {normalised.external_id for item in items if (normalised := kept(provider, item, stage.clock))}
    for raw in nameless:
        with pytest.raises(ItemRejected):
            provider.normalise(raw, stage.clock.at)
        with pytest.raises(ItemRejected):
            provider.outline(raw, stage.clock.at)


@every_provider
def test_words_and_fields_that_nobody_documented_are_kept(stage: Stage) -> None:
    raw = stage.publish("odd", lambda made: dict(stage.case.strange(made)))
    provider = stage.provider()
    (found,) = notifications(provider, read(provider), stage.clock)
    assert (found.status, found.raw) == (Status.NEW, raw)


@every_provider
@pytest.mark.parametrize("odd", [None, 7, "text", True, [], ["a"], {}])
def test_an_item_that_is_no_item_is_rejected_and_nothing_else(stage: Stage, odd: Any) -> None:
    with pytest.raises(ItemRejected):
        stage.provider().normalise(odd, stage.clock.at)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@every_provider
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoiled=st.dictionaries(st.integers(0, 20), JSON, max_size=6), inner=st.booleans())
def test_no_value_of_any_field_makes_the_mapping_raise_anything_but_a_rejection(
    stage: Stage, spoiled: dict[int, Any], *, inner: bool
) -> None:
    (row,) = stage.grow(1)
    raw = dict(row.raw)
    nested = [name for name, value in raw.items() if isinstance(value, dict)]
    names = list(raw[nested[0]] if inner and nested else raw)
    news = {names[place % len(names)]: value for place, value in spoiled.items()}
    broken = {**raw, nested[0]: {**raw[nested[0]], **news}} if inner and nested else {**raw, **news}
    found = kept(stage.provider(), broken, stage.clock)
    assert found is None or found.raw == broken
