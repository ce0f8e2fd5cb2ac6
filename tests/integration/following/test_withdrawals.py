"""What the provider no longer has: absent from two complete readings, and not to be found by its id."""

from dataclasses import replace
from datetime import timedelta
from itertools import islice

import pytest

from tests.fakes import AT
from tests.integration.following.course import DAY, Course
from tests.model import NEWEST_FIRST, OLDEST_FIRST, WINDOWED
from worker.errors import ProviderError, Unavailable
from worker.provider import Contract
from worker.store.session import Database

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Days go by in these; what they do to a database is tested on both by their neighbours."""

HOUR = timedelta(hours=1)
BY_ID = replace(OLDEST_FIRST, later_changes=())
CONTRACTS = {
    "no get by id": WINDOWED,
    "get by id": BY_ID,
    "newest first": replace(NEWEST_FIRST, by_id=False),
    "newest first, get by id": NEWEST_FIRST,
}


def _aged(database: Database, contract: Contract) -> Course:
    course = Course.begun(database, contract)
    course.aged(5 * HOUR, "a", "b")
    return course


def _reading(course: Course) -> None:
    """Up to the next reading of the bucket, and with it."""
    before = course.row("b").bucket_id
    (bucket,) = (row for row in course.buckets if row.id == before)
    course.leap(DAY, until=lambda: next(row for row in course.buckets if row.id == before) != bucket)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_row_absent_from_two_readings_is_withdrawn_with_its_last_status_in_the_next_revision(
    database: Database, contract: Contract
) -> None:
    course = _aged(database, contract)
    course.model.change("a", state="read")
    course.leap(2 * HOUR)
    course.model.remove("a")
    course.leap(DAY, until=lambda: course.row("a").withdrawn_at is not None)
    row = course.row("a")
    assert (row.status, row.revision, row.followed, row.bucket_id) == ("read", 3, False, None)
    assert course.owed("a") == [(kind, "pending", None) for kind in ("created", "updated", "withdrawn")]


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_it_is_told_once(database: Database, contract: Contract) -> None:
    course = _aged(database, contract)
    course.model.remove("a")
    course.leap(2 * DAY)
    assert course.told("a") == ["created", "withdrawn"]


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_one_absence_is_none(database: Database, contract: Contract) -> None:
    course = _aged(database, contract)
    raw = course.model.there()["a"]
    course.model.remove("a")
    _reading(course)
    assert (course.row("a").absences, course.row("a").withdrawn_at) == (1, None)
    course.model.put(**raw | {"identity": raw["id"]})
    _reading(course)
    course.model.remove("a")
    _reading(course)
    assert (course.row("a").absences, course.row("a").withdrawn_at) == (1, None)


def test_who_is_absent_from_the_list_and_found_by_id_is_not_withdrawn(database: Database) -> None:
    course = _aged(database, BY_ID)
    course.model.doctor = lambda rows: [row for row in rows if row["id"] != "a"]
    course.leap(DAY)
    assert course.told("a") == ["created"]


def test_a_change_of_who_is_only_found_by_id_is_told(database: Database) -> None:
    course = _aged(database, BY_ID)
    course.model.doctor = lambda rows: [row for row in rows if row["id"] != "a"]
    course.model.change("a", text="another")
    course.leap(DAY)
    assert course.told("a") == ["created", "updated"]


def test_a_reading_that_breaks_off_is_no_reading(database: Database) -> None:
    course = _aged(database, WINDOWED)
    course.model.put("c", at=AT + timedelta(seconds=1))
    course.model.remove("a")

    def down() -> None:
        raise Unavailable

    course.later.before = down
    for _ in range(4):
        course.clock.at += 3 * HOUR
        with pytest.raises(ProviderError):
            course.poll()
    assert (course.row("a").absences, course.told("a")) == (0, ["created"])


def test_a_reading_in_which_a_row_could_not_be_read_is_no_evidence(database: Database) -> None:
    course = _aged(database, WINDOWED)
    course.model.doctor = lambda rows: [{**row, "state": 7} if row["id"] == "a" else row for row in rows]
    course.leap(DAY)
    assert (course.row("a").absences, course.told("a")) == (0, ["created"])


def test_a_row_that_was_given_another_time_is_followed_there(database: Database) -> None:
    course = _aged(database, WINDOWED)
    course.model.put("mark above", at=course.clock.at)
    course.polls(course.every)
    course.model.change("a", at=course.clock.at)
    course.leap(2 * DAY)
    assert course.told("a") == ["created", "updated"]
    assert course.row("a").absences == 0


def test_rows_that_move_from_page_to_page_while_they_are_read_are_not_taken_for_gone(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    for number in range(12):
        course.model.put(f"{number}", at=AT)
    course.model.put("mark", at=AT + HOUR)
    course.clock.at += 2 * HOUR
    course.poll()
    added = iter(range(100, 120))
    course.later.before = lambda: [course.model.put(f"{number}", "resolved", at=AT) for number in islice(added, 1)]
    course.leap(10 * HOUR)
    assert {kind for number in range(12) for kind in course.told(f"{number}")} == {"created"}


def test_a_withdrawn_row_that_comes_back_is_an_update_and_followed_again(database: Database) -> None:
    course = _aged(database, WINDOWED)
    raw = course.model.there()["a"]
    course.model.remove("a")
    course.leap(DAY, until=lambda: course.row("a").withdrawn_at is not None)
    course.model.put(**raw | {"identity": raw["id"]})
    course.model.change("b", text="another")
    course.leap(DAY, until=lambda: course.row("a").withdrawn_at is None)
    course.polls(course.every)
    row = course.row("a")
    assert (course.told("a"), row.followed, row.bucket_id) == (
        ["created", "withdrawn", "updated"],
        True,
        course.row("b").bucket_id,
    )


def test_what_was_closed_is_not_withdrawn(database: Database) -> None:
    course = _aged(database, WINDOWED)
    course.model.change("a", state="resolved")
    course.leap(HOUR)
    course.model.remove("a")
    course.leap(DAY)
    assert course.told("a") == ["created", "updated"]
