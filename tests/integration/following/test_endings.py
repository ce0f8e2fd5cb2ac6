"""What is never closed: expired past its own date, or past `track_for` (CLARIFICATIONS, 6)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import AT
from tests.integration.following.course import DAY, TRACK_FOR, Course
from tests.model import NEWEST_FIRST, OLDEST_FIRST, WINDOWED
from worker.provider import Contract
from worker.store.session import Database

HOUR = timedelta(hours=1)


def _until(age: timedelta) -> dict[str, Any]:
    return {"until": (AT + age).isoformat()}


@pytest.mark.parametrize("contract", [WINDOWED, NEWEST_FIRST], ids=["windows", "newest first"])
def test_what_is_past_its_date_has_expired_once(database: Database, contract: Contract) -> None:
    course = Course.begun(database, contract)
    course.model.put("a", **_until(2 * HOUR))
    course.aged(HOUR, "b")
    assert course.told("a") == ["created"]
    course.leap(5 * HOUR)
    assert (course.told("a"), course.row("a").status) == (["created", "expired"], "expired")
    assert course.told("b") == ["created"]


def test_it_expires_with_the_first_poll_past_its_date_though_no_bucket_is_due(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.aged(10 * HOUR, "b")
    course.desk.store({"id": "a", "state": "new", "at": AT.isoformat()})
    course.model.put("a", at=AT, **_until(10.5 * HOUR))
    course.leap(2 * HOUR, until=lambda: course.row("a").expires_at is not None)
    course.clock.at = AT + 10.5 * HOUR
    course.poll()
    assert course.row("a").status == "expired"


def test_what_is_not_closed_in_the_time_that_it_is_tracked_for_has_expired_once(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.aged(HOUR, "a")
    course.clock.at = AT + TRACK_FOR - course.every
    course.poll()
    assert course.told("a") == ["created"]
    course.polls(2 * course.every)
    assert (course.told("a"), course.row("a").followed) == (["created", "expired"], False)
    course.leap(DAY)
    assert course.told("a") == ["created", "expired"]


def test_what_has_no_time_is_tracked_from_when_it_was_first_seen(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST)
    course.model.put("a", at=None)
    course.poll()
    course.clock.at += TRACK_FOR
    course.poll()
    assert course.told("a") == ["created", "expired"]


def test_the_expired_message_has_the_status_before_it(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.model.put("a", "read", **_until(HOUR))
    course.poll()
    course.clock.at += HOUR
    course.poll()
    last = course.messages("a")[-1]
    assert (last.revision, last.status, b'"previous_status":"read"' in last.body) == (2, "expired", True)


@pytest.mark.parametrize("row", ["long past its date", "long open"])
def test_what_has_expired_already_when_it_is_first_seen_is_created_with_that_status(
    database: Database, row: str
) -> None:
    course = Course.begun(database, NEWEST_FIRST)
    made = {"at": AT - 2 * TRACK_FOR} if row == "long open" else {"at": AT - DAY, **_until(-HOUR)}
    course.model.put("a", **made)
    course.aged(2 * HOUR, "b")
    assert (course.told("a"), course.row("a").status) == (["created"], "expired")
    assert course.messages("a")[0].status == "expired"


def test_what_has_expired_and_is_then_closed_is_an_update(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST)
    course.model.put("a", **_until(HOUR))
    course.aged(2 * HOUR, "b")
    course.model.change("a", state="resolved")
    course.polls(course.every)
    assert course.told("a") == ["created", "expired", "updated"]


def test_an_older_copy_of_what_has_expired_is_no_news(database: Database) -> None:
    course = Course.begun(database, NEWEST_FIRST)
    course.model.put("a", **_until(2 * course.every))
    course.polls(5 * course.every)
    assert (course.told("a"), course.row("a").status) == (["created", "expired"], "expired")


def test_what_a_newer_copy_reopens_is_tracked_for_as_long_again(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST)
    course.aged(HOUR, "a")
    course.clock.at = AT + TRACK_FOR
    course.poll()
    course.model.change("a", state="read")
    course.polls(course.every)
    assert course.told("a") == ["created", "expired", "updated"]
    course.clock.at += TRACK_FOR / 2
    course.poll()
    assert course.told("a") == ["created", "expired", "updated"]
    course.clock.at += TRACK_FOR
    course.poll()
    assert course.told("a") == ["created", "expired", "updated", "expired"]


def test_more_than_fit_a_commit_expire_with_one_poll(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    rows = [{"id": f"{number}", "state": "new", "at": AT.isoformat()} for number in range(600)]
    course.desk.store(*rows)
    course.model.put("mark", "resolved")
    course.model.doctor = lambda _rows: []
    course.poll()
    course.clock.at += TRACK_FOR
    course.poll()
    assert {course.told(f"{number}")[-1] for number in (0, 250, 599)} == {"expired"}
