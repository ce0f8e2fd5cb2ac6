from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import AT
from worker.interest import Interest, Topic
from worker.silence import explain
from worker.store.reach import Made, Reach
from worker.store.tables import Delivery, EndpointRow

SECOND = timedelta(seconds=1)
NOW = AT + 60 * SECOND
TOPIC = Topic("notification.updated", "books", "RenewDomain", "new")


def _delivery(revision: int = 2, status: str = "pending", **members: Any) -> Delivery:
    given: dict[str, Any] = {
        "id": 40 + revision,
        "message_id": f"m{revision}",
        "endpoint_id": 1,
        "revision": revision,
        "status": status,
        "trigger": "first",
        "next_attempt_at": AT,
        "created_at": AT,
    }
    return Delivery(**(given | members))


def _endpoint(**members: Any) -> EndpointRow:
    given: dict[str, Any] = {"id": 1, "name": "erp", "created_at": AT}
    return EndpointRow(**(given | members))


def _told(
    endpoint: EndpointRow, *owed: Delivery, interests: tuple[Interest, ...] = (Interest("erp"),)
) -> tuple[str, str]:
    """Of revision 2."""
    deliveries = {(row.message_id, row.endpoint_id): row for row in owed}
    reach = Reach((Made("m2", TOPIC, 2, AT),), (endpoint,), deliveries)
    (told,) = explain(reach, interests, NOW)
    assert (told.revision, told.message_id, told.endpoint) == (2, "m2", "erp")
    return told.status, told.explanation


def _waits(delivery: Delivery | None = None, *others: Delivery, **endpoint: Any) -> str:
    status, why = _told(_endpoint(**endpoint), delivery or _delivery(), *others)
    assert status == "pending"
    return why


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"types": ("*.created",)}, 'types = ["*.created"] doesn\'t match "notification.updated"'),
        ({"sources": ("mail", "é")}, 'sources = ["mail", "é"] doesn\'t match "books"'),
        ({"kinds": ("TransferDomain*",)}, 'kinds = ["TransferDomain*"] doesn\'t match "RenewDomain"'),
        ({"statuses": ("resolved",)}, 'statuses = ["resolved"] doesn\'t match "new"'),
    ],
)
def test_what_a_filter_keeps_away_is_explained_by_the_filter(filters: dict[str, Any], why: str) -> None:
    interests = (Interest("erp", **filters),)
    assert _told(_endpoint(), interests=interests) == ("unwanted", f"not wanted: {why}")


def test_an_endpoint_that_did_not_exist_yet_says_since_when_it_does_and_how_to_replay() -> None:
    assert _told(_endpoint(created_at=AT + SECOND)) == (
        "missing",
        (
            "the endpoint did not exist yet when it was made (it does since 2026-03-20T12:00:01Z): "
            "tocsin replay --endpoint erp --since 2026-03-20T12:00:00Z"
        ),
    )


def test_what_other_filters_kept_away_then_says_so() -> None:
    assert _told(_endpoint()) == (
        "missing",
        (
            "not wanted by the configuration under which it was made; the present one wants it: "
            "tocsin replay --endpoint erp --since 2026-03-20T12:00:00Z"
        ),
    )


def test_an_endpoint_that_left_the_configuration_is_not_left_out() -> None:
    assert _told(_endpoint(), interests=()) == (
        "missing",
        "it was not owed when it was made, and the endpoint is no longer configured",
    )
    assert _told(_endpoint(), _delivery(), interests=()) == (
        "pending",
        "the endpoint is no longer configured; due since 2026-03-20T12:00:00Z",
    )


@pytest.mark.parametrize(("attempts", "more"), [(1, ""), (3, ", at attempt 3")])
def test_what_was_delivered_says_when(attempts: int, more: str) -> None:
    row = _delivery(status="delivered", delivered_at=AT, attempts=attempts)
    assert _told(_endpoint(), row) == ("delivered", f"delivered at 2026-03-20T12:00:00Z{more}")


@pytest.mark.parametrize(
    ("last", "of"),
    [({"last_outcome": "timeout"}, "timeout"), ({"last_status_code": 500}, "answered 500"), ({}, "unknown")],
)
def test_what_is_exhausted_says_of_what_and_how_to_try_again(last: dict[str, Any], of: str) -> None:
    row = _delivery(status="exhausted", attempts=10, **last)
    assert _told(_endpoint(), row) == (
        "exhausted", f"given up after attempt 10 ({of}): tocsin redeliver 42",
    )  # fmt: skip


@pytest.mark.parametrize("reason", ["before start_at", "endpoint disabled", "superseded", "backfill"])
def test_what_was_skipped_says_why(reason: str) -> None:
    row = _delivery(status="skipped", reason=reason)
    assert _told(_endpoint(), row) == ("skipped", f"skipped: {reason}: tocsin redeliver 42")


def test_what_is_due_says_since_when() -> None:
    assert _waits() == "due since 2026-03-20T12:00:00Z"


def test_what_waits_for_its_schedule_says_until_when_and_after_what() -> None:
    row = _delivery(next_attempt_at=NOW + SECOND, last_outcome="broken_off", attempts=2)
    assert _waits(row) == "next attempt at 2026-03-20T12:01:01Z, after attempt 2 (broken off)"


def test_an_attempt_that_is_being_made_says_so_alone() -> None:
    row = _delivery(attempts=1, claimed_until=NOW + SECOND)
    assert _waits(row, _delivery(1), slow_until=NOW + SECOND) == "attempt 2 is being made"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (_delivery(1), "waits for revision 1; "),
        (_delivery(3), ""),
        (_delivery(3, claimed_until=NOW + SECOND), "waits for revision 3; "),
        (_delivery(3, claimed_until=NOW), ""),
        (_delivery(1, "delivered"), ""),
        (_delivery(1, endpoint_id=2), ""),
    ],
)
def test_what_waits_for_another_revision_names_it(other: Delivery, why: str) -> None:
    assert _waits(_delivery(), other) == f"{why}due since 2026-03-20T12:00:00Z"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (
            {"disabled_at": AT, "reason": "answered 410"},
            "the endpoint is disabled (answered 410): tocsin endpoints enable erp; due since 2026-03-20T12:00:00Z",
        ),
        (
            {"slow_until": NOW + SECOND},
            "the endpoint asked to be left alone until 2026-03-20T12:01:01Z; due since 2026-03-20T12:00:00Z",
        ),
        ({"slow_until": NOW}, "due since 2026-03-20T12:00:00Z"),
        (
            {"failing_since": AT, "probe_at": NOW + SECOND},
            (
                "the endpoint fails since 2026-03-20T12:00:00Z, and is asked again with one request at "
                "2026-03-20T12:01:01Z; due since 2026-03-20T12:00:00Z"
            ),
        ),
        (
            {"opening_since": NOW - SECOND},
            (
                "due since 2026-03-20T12:00:00Z; the endpoint has recovered at 2026-03-20T12:00:59Z, and its "
                "backlog goes out faster and faster"
            ),
        ),
        (
            {"paced_until": NOW + SECOND},
            "due since 2026-03-20T12:00:00Z; its rate limit is used up until 2026-03-20T12:01:01Z",
        ),
        ({"paced_until": NOW}, "due since 2026-03-20T12:00:00Z"),
    ],
    ids=["disabled", "slowed", "slowed before", "probed", "opening", "paced", "paced before"],
)
def test_what_waits_for_its_endpoint_says_why(members: dict[str, Any], why: str) -> None:
    assert _waits(**members) == why


def test_every_revision_is_explained_at_every_endpoint() -> None:
    made = tuple(Made(f"m{number}", TOPIC, number, AT) for number in (1, 2))
    reach = Reach(made, (_endpoint(id=2, name="crm"), _endpoint()), {("m1", 1): _delivery(1, "delivered")})
    told = explain(reach, [Interest("erp"), Interest("crm", types=("source.*",))], NOW)
    assert [(one.revision, one.endpoint, one.status) for one in told] == [
        (1, "crm", "unwanted"), (1, "erp", "delivered"), (2, "crm", "unwanted"), (2, "erp", "missing"),
    ]  # fmt: skip
