from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.clocks import Spread, figures, of_notification, seconds, seen_after, spread

S = timedelta(seconds=1)


def test_nothing_measured_has_no_spread() -> None:
    assert spread([]) is None
    assert figures("seen", None) == {"seen_median_s": None, "seen_p95_s": None}


def test_the_spread_is_by_the_nearest_rank() -> None:
    assert spread([n * S for n in range(100, 0, -1)]) == Spread(100, 50 * S, 95 * S)
    assert spread([3 * S]) == Spread(1, 3 * S, 3 * S)
    assert spread([S, 9 * S]) == Spread(2, S, 9 * S)


@given(st.lists(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9)), min_size=1))
def test_a_spread_is_made_of_what_was_measured(waits: list[timedelta]) -> None:
    found = spread(waits)
    assert found
    assert min(waits) <= found.median <= found.p95 <= max(waits)
    assert {found.median, found.p95} <= set(waits)


def test_what_occurred_is_brought_from_the_providers_clock_to_ours() -> None:
    assert seen_after(AT, AT + 10 * S, timedelta()) == 10 * S
    assert seen_after(AT + 60 * S, AT + 10 * S, 60 * S) == 10 * S


def test_no_wait_is_negative() -> None:
    assert seen_after(AT, AT - S, timedelta()) == timedelta()


def test_seconds_are_to_the_millisecond() -> None:
    assert (seconds(timedelta(microseconds=1_234_567)), seconds(None)) == (1.235, None)


def row(**more: Any) -> dict[str, Any]:
    return {
        "revision": 2,
        "occurred_at": "2026-03-20T12:00:00Z",
        "updated_at": "2026-03-20T12:04:00Z",
        "revisions": [
            {"message_id": "m1", "made_at": "2026-03-20T12:01:00Z"},
            {"message_id": "m2", "made_at": "2026-03-20T12:05:00.5Z"},
        ],
        "delivery_rows": [],
        **more,
    }


def delivery(message: str, revision: int, **more: Any) -> dict[str, Any]:
    return {
        "id": revision, "message_id": message, "endpoint": "erp", "revision": revision, "status": "pending",
        "delivered_at": None, "attempt_rows": [], **more,
    }  # fmt: skip


def clocks(shown: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        shown[f"{name}_s"] for name in ("occurred_to_stored", "stored_to_first_attempt", "stored_to_delivered")
    )


def test_each_delivery_has_its_clocks() -> None:
    attempts = [
        {"number": 1, "started_at": "2026-03-20T12:01:02Z"},
        {"number": 2, "started_at": "2026-03-20T12:01:07Z"},
    ]
    taken = delivery("m1", 1, status="delivered", delivered_at="2026-03-20T12:01:07.25Z", attempt_rows=attempts)
    [first, second] = of_notification(row(delivery_rows=[taken, delivery("m2", 2)]))
    assert clocks(first) == (60.0, 2.0, 67.25 - 60)
    assert (first["endpoint"], first["first_attempt_at"]) == ("erp", "2026-03-20T12:01:02Z")
    assert clocks(second) == (60.5, None, None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"occurred_at": None}, (None, None, None)),
        ({"occurred_at": "2026-03-20T13:00:00Z"}, (0.0, None, None)),
        ({"revisions": []}, (None, None, None)),
    ],
)
def test_what_is_not_known_or_impossible_is_not_made_up(change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    [shown] = of_notification(row(delivery_rows=[delivery("m1", 1)], **change))
    assert clocks(shown) == expected


def test_a_revision_between_has_no_date_of_its_own() -> None:
    [shown] = of_notification(row(revision=3, delivery_rows=[delivery("m2", 2)]))
    assert shown["occurred_at"] is None


def test_a_first_attempt_that_was_pruned_is_not_known() -> None:
    attempts = [{"number": 2, "started_at": "2026-03-20T12:01:07Z"}]
    [shown] = of_notification(row(delivery_rows=[delivery("m1", 1, attempt_rows=attempts)]))
    assert shown["first_attempt_at"] is None
