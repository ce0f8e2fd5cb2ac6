from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import AT
from worker.moment import Schedule
from worker.report import endpoint_row, needs_a_person, source_row
from worker.store.fates import EndpointFate, SourceFate
from worker.store.tables import EndpointRow, Source

EVERY = Schedule(every=timedelta(minutes=5))
SOURCE = [
    "name", "provider", "status", "reason", "last_poll_at", "next_poll_at", "covered_until", "lag_s", "failures",
    "notifications", "open", "rejected",
]  # fmt: skip
ENDPOINT = [
    "name", "url", "status", "reason", "pending", "oldest_pending_at", "failing_since", "delivered", "exhausted",
]  # fmt: skip


def _source(**members: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": "books",
        "provider": "bookkeep",
        "created_at": AT,
        "start_at": None,
        "next_poll_at": AT,
    }
    return source_row("books", SourceFate(Source(**(given | members)), 9, 4, 2), EVERY, AT)


def _endpoint(deliveries: dict[str, int] | None = None, **members: Any) -> dict[str, Any]:
    row = EndpointRow(name="erp", created_at=AT, **members)
    return endpoint_row("erp", EndpointFate(row, deliveries or {}, AT if deliveries else None), "https://erp/")


def _verdict(row: dict[str, Any]) -> tuple[str, str | None]:
    return row["status"], row["reason"]


def test_a_source_has_the_keys_of_the_interface() -> None:
    row = _source(last_poll_at=AT, covered_until=AT - timedelta(seconds=1.5))
    assert list(row) == SOURCE
    assert (row["name"], row["provider"], row["next_poll_at"]) == ("books", "bookkeep", "2026-03-20T12:00:00Z")
    assert (row["covered_until"], row["lag_s"]) == ("2026-03-20T11:59:58.500Z", 1.5)
    assert (row["notifications"], row["open"], row["rejected"]) == (9, 4, 2)
    assert _verdict(row) == ("ok", None)


def test_a_source_that_was_never_polled_has_no_lag() -> None:
    row = _source()
    assert (row["covered_until"], row["lag_s"], row["last_poll_at"], row["status"]) == (None, None, None, "ok")


def test_a_paused_source_says_why_and_not_when() -> None:
    row = _source(paused_at=AT, reason="refused", failures=3)
    assert _verdict(row) == ("paused", "refused")
    assert row["next_poll_at"] is None


def test_a_source_whose_last_poll_failed_is_failing() -> None:
    assert _verdict(_source(failures=1, reason="down")) == ("failing", "down")


@pytest.mark.parametrize("since", ["covered_until", "created_at"])
def test_a_source_that_lags_is_failing_without_an_error(since: str) -> None:
    status, reason = _verdict(_source(**{since: AT - timedelta(minutes=25)}))
    assert status == "failing"
    assert reason is not None
    assert "three intervals" in reason


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "is a worker running?"),
        ({"last_poll_at": AT - timedelta(minutes=25)}, "is a worker running?"),
        ({"last_poll_at": AT}, "its polls begin and do not end; the log says why"),
        ({"last_poll_at": AT, "lease_until": AT}, "its polls begin and do not end; the log says why"),
        ({"last_poll_at": AT, "lease_until": AT + timedelta(seconds=1)}, "its poll has not ended yet"),
    ],
)
def test_a_source_that_lags_says_what_may_be_wrong(members: dict[str, Any], why: str) -> None:
    row = _source(covered_until=AT - timedelta(minutes=25), next_poll_at=AT - timedelta(minutes=20), **members)
    assert _verdict(row) == ("failing", f"it is more than three intervals behind: {why}")


def test_a_source_that_is_not_due_does_not_lag() -> None:
    later = AT + timedelta(seconds=1)
    assert _verdict(_source(covered_until=AT - timedelta(hours=9), next_poll_at=later)) == ("ok", None)


def test_an_endpoint_has_the_keys_of_the_interface() -> None:
    row = _endpoint({"pending": 3, "delivered": 5, "exhausted": 1, "skipped": 7})
    assert list(row) == ENDPOINT
    assert (row["url"], row["pending"], row["delivered"], row["exhausted"]) == ("https://erp/", 3, 5, 1)
    assert (row["oldest_pending_at"], row["failing_since"]) == ("2026-03-20T12:00:00Z", None)
    assert _verdict(row) == ("ok", None)


def test_an_endpoint_that_is_owed_nothing_says_so() -> None:
    row = _endpoint()
    assert (row["pending"], row["oldest_pending_at"]) == (0, None)


def test_a_failing_endpoint_says_how_often() -> None:
    row = _endpoint(failing_since=AT, failures=4)
    assert _verdict(row) == ("failing", "4 failed attempts since it last answered well")
    assert row["failing_since"] == "2026-03-20T12:00:00Z"


def test_a_disabled_endpoint_says_why() -> None:
    row = _endpoint(failing_since=AT, failures=4, disabled_at=AT, reason="answered 410 Gone")
    assert _verdict(row) == ("disabled", "answered 410 Gone")


def test_a_person_is_needed_when_anything_is_not_ok() -> None:
    assert not needs_a_person([])
    assert not needs_a_person([_source(), _endpoint()])
    assert needs_a_person([_source(), _endpoint(disabled_at=AT)])
