"""Changes of what is open: seen in time, in the cheapest way (POLLING, section 4)."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.fakes import AT
from tests.integration.following.course import DAY, OVERLAP, Course
from tests.model import NEWEST_FIRST, OLDEST_FIRST, SINCE, WINDOWED
from worker.notification import Status
from worker.provider import Contract
from worker.store.session import Database
from worker.store.tables import BucketRow, NotificationRow

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Days go by in these; what they do to a database is tested on both by their neighbours."""

CONTRACTS = {
    "windows": WINDOWED,
    "windows, by id": replace(WINDOWED, by_id=True),
    "by later changes": OLDEST_FIRST,
    "newest first, by id": NEWEST_FIRST,
    "newest first": replace(NEWEST_FIRST, by_id=False),
    "from a time on": SINCE,
}
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("age", [HOUR / 2, 5 * HOUR, 2 * DAY, 12 * DAY], ids=["30 min", "5 h", "2 d", "12 d"])
def test_a_change_of_an_open_row_of_any_age_is_seen_within_a_tenth_of_it(database: Database, age: timedelta) -> None:
    _is_seen_in_time(Course.begun(database, WINDOWED), age)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_change_is_seen_in_time_whatever_the_api_can_be_asked_for(database: Database, contract: Contract) -> None:
    _is_seen_in_time(Course.begun(database, contract), 5 * HOUR)


def _is_seen_in_time(course: Course, age: timedelta) -> None:
    course.aged(age, "a", "b")
    changed_at = course.clock.at
    course.model.change("a", text="another")
    course.leap(DAY * 2, until=lambda: course.row("a").revision == 2)
    assert course.clock.at - changed_at <= course.bound(changed_at - AT)
    assert course.told("a") == ["created", "updated"]


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_what_is_closed_costs_nothing(database: Database, contract: Contract) -> None:
    course = Course.begun(database, replace(contract, later_changes=()))
    course.aged(HOUR, *"abcdefgh")
    for identity in (*"abcdefgh", "mark"):
        course.model.change(identity, state="resolved")
    course.leap(HOUR * 2)
    asked = course.later.asked.total()
    course.polls(timedelta(minutes=20))
    assert (course.buckets, course.later.asked.total()) == ([], asked)


def test_what_is_closed_for_this_provider_is_not_followed(database: Database) -> None:
    course = Course.begun(database, replace(WINDOWED, closed=frozenset(Status)))
    course.aged(HOUR, "a", "b")
    assert (course.buckets, course.later.asked.total()) == ([], 0)


def test_what_was_read_or_resolved_is_found_by_the_next_poll(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST)
    course.aged(12 * DAY, "a", "b")
    course.model.change("a", state="resolved")
    course.model.change("b", state="read")
    course.polls(course.every)
    assert [course.row(identity).status for identity in "ab"] == ["resolved", "read"]


def test_a_bucket_holds_about_a_page_and_is_read_with_one_request(database: Database) -> None:
    course = Course.begun(database, replace(WINDOWED, page_size=10))
    for number in range(100):
        course.model.put(f"{number}", at=AT - timedelta(hours=20) + timedelta(minutes=7 * number))
    course.poll()
    course.clock.at += 8 * HOUR
    readings = len([row for row in course.buckets if row.look_again_at <= course.clock.at])
    course.poll()
    assert (readings, course.later.asked) == (len(course.buckets), {"list": readings})
    assert {_held(course, bucket) for bucket in course.buckets[:-1]} <= {8, 9, 10}


def test_buckets_part_no_rows_of_one_moment_and_do_not_overlap(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    for number in range(40):
        course.model.put(f"{number}", at=AT - HOUR - SECOND * (number // 13))
    course.model.put("mark")
    course.poll()
    buckets = course.buckets
    assert all(first.end_at <= second.start_at for first, second in pairwise(buckets))
    assert sum(_held(course, bucket) for bucket in buckets) == 40
    course.model.change("13", text="another")
    course.leap(2 * HOUR, until=lambda: course.row("13").revision == 2)
    assert course.told("13") == ["created", "updated"]


def test_the_newest_bucket_grows_and_is_looked_at_as_soon_as_its_youngest_row_needs(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.aged(DAY, "a")
    course.model.put("b")
    course.polls(OVERLAP + course.every)
    course.model.put("another mark")
    course.polls(course.every)
    (bucket,) = course.buckets
    assert bucket.look_again_at <= course.clock.at + course.bound(OVERLAP + 2 * course.every) - course.every
    assert {course.row(identity).bucket_id for identity in "ab"} == {bucket.id}


def test_a_row_that_shows_late_in_a_bucket_is_told_and_followed(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.aged(DAY, "a")
    course.model.put("late", at=AT + SECOND)
    course.leap(DAY / 2, until=lambda: "late" in course.known)
    course.polls(course.every)
    course.model.change("late", text="another")
    course.leap(DAY / 2, until=lambda: course.row("late").revision == 2)
    assert (course.told("late"), course.row("late").bucket_id) == (["created", "updated"], course.row("a").bucket_id)


def test_a_bucket_into_which_many_rows_came_late_is_cut_again(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.model.put("first", at=AT - 30 * HOUR)
    course.model.put("last", at=AT - 10 * HOUR)
    course.aged(HOUR, "mark before")
    assert len(course.buckets) == 1
    for number in range(60):
        course.model.put(f"late {number}", at=AT - 29 * HOUR + timedelta(minutes=10 * number))
    course.leap(DAY)
    assert all(_held(course, bucket) <= 6 for bucket in course.buckets)
    assert len(course.buckets) >= 12
    assert {course.row(f"late {number}").bucket_id is None for number in range(60)} == {False}


def test_a_reopened_row_is_followed_again(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST)
    course.aged(DAY, "a")
    course.model.change("a", state="resolved")
    course.polls(course.every)
    course.leap(HOUR * 12)
    assert (course.row("a").bucket_id, course.row("a").followed) == (None, False)
    course.model.change("a", state="read")
    course.polls(course.every * 2)
    assert (course.row("a").bucket_id is None, course.row("a").followed) == (False, True)
    assert course.told("a") == ["created", "updated", "updated"]


def test_an_older_copy_reopens_nothing_and_a_newer_one_does(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    before = course.model.put("a")
    course.poll()
    course.clock.turn(seconds=60)
    course.model.change("a", state="resolved")
    course.poll()
    course.model.change("a", state="new", updated=before["updated"])
    course.poll()
    assert course.told("a") == ["created", "updated"]
    course.clock.turn(seconds=60)
    course.model.change("a", state="read")
    course.poll()
    assert course.told("a") == ["created", "updated", "updated"]


@pytest.mark.parametrize("contract", [OLDEST_FIRST, NEWEST_FIRST], ids=["windows", "newest first"])
def test_a_row_without_a_time_is_followed_by_its_id(database: Database, contract: Contract) -> None:
    course = Course.begun(database, replace(contract, later_changes=()))
    course.model.put("a", at="last Tuesday")
    course.aged(DAY, "b")
    changed_at = course.clock.at
    course.model.change("a", text="another")
    course.leap(DAY, until=lambda: course.row("a").revision == 2)
    assert course.clock.at - changed_at <= course.bound(DAY)


def test_a_row_without_a_time_that_nobody_can_ask_for_is_not_taken_for_gone(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.desk.store({"id": "a", "state": "new", "at": None})
    course.aged(3 * DAY, "b")
    assert (course.told("a"), course.row("a").absences) == (["created"], 0)


def test_one_open_row_is_asked_for_by_its_id_and_more_by_their_window(database: Database) -> None:
    course = Course.begun(database, replace(OLDEST_FIRST, later_changes=()))
    course.aged(HOUR, "a", "b")
    course.model.change("mark", state="resolved")
    course.leap(HOUR)
    course.later.asked.clear()
    course.leap(HOUR)
    assert set(course.later.asked) == {"list"}
    course.model.change("a", state="resolved")
    course.leap(HOUR)
    course.later.asked.clear()
    course.leap(HOUR)
    assert set(course.later.asked) == {"one"}


def test_where_no_time_can_be_asked_for_one_reading_does_for_all_that_is_due(database: Database) -> None:
    course = Course.begun(database, replace(NEWEST_FIRST, by_id=False))
    for number in range(30):
        course.model.put(f"{number}", at=AT - HOUR * number - HOUR)
    course.model.put("mark")
    course.poll()
    assert len(course.buckets) > 3
    course.clock.at += 12 * HOUR
    course.poll()
    assert course.later.asked.total() <= 30 / 5 * 2 + 2
    assert all(bucket.look_again_at > course.clock.at for bucket in course.buckets)


def test_where_no_time_can_be_asked_for_few_open_rows_are_asked_for_by_id(database: Database) -> None:
    course = Course.begun(database, NEWEST_FIRST)
    for number in range(30):
        course.model.put(f"{number}", "new" if number in {20, 25} else "resolved", at=AT - HOUR * number - HOUR)
    course.poll()
    course.clock.at += 12 * HOUR
    course.poll()
    assert course.later.asked == {"one": 2}


def test_newest_first_is_read_no_further_than_what_is_due(database: Database) -> None:
    course = Course.begun(database, replace(NEWEST_FIRST, by_id=False))
    for number in range(100):
        course.model.put(f"{number}", "resolved" if number > 3 else "new", at=AT - HOUR * (number + 1))
    course.poll()
    course.clock.at += HOUR
    course.model.remove("2")
    course.poll()
    assert course.later.asked.total() <= 5


def test_no_more_is_asked_once_all_that_is_open_was_seen(database: Database) -> None:
    course = Course.begun(database, replace(WINDOWED, page_size=20))
    for number in range(18):
        course.model.put(f"{number}", at=AT - HOUR * 3 + SECOND * 40 * number)
    course.model.put("mark")
    course.poll()
    course.clock.at += HOUR
    course.poll()
    assert course.later.asked == {"list": 1}


def test_following_stops_when_the_next_live_pass_is_due_and_goes_on_after_it(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    for number in range(60):
        course.model.put(f"{number}", at=AT - HOUR * 3 - SECOND * 20 * number)
    course.model.put("mark")
    course.poll()
    course.clock.at += 10 * HOUR
    due = len([row for row in course.buckets if row.look_again_at <= course.clock.at])
    course.later.before = lambda: course.clock.turn(seconds=50)
    course.poll()
    left = [row for row in course.buckets if row.look_again_at <= course.clock.at]
    assert 0 < len(left) < due
    course.poll()
    assert len([row for row in course.buckets if row in left]) < len(left)


def test_a_source_whose_rows_have_all_left_the_overlap_is_still_followed(database: Database) -> None:
    """`start_at` is later than the rows, as when the past was read by a backfill."""
    course = Course.begun(database, OLDEST_FIRST, start_at=AT)
    course.model.put("old", at=AT - DAY)
    course.desk.store({"id": "old", "state": "new", "at": (AT - DAY).isoformat()})
    course.poll()
    assert [bucket.start_at for bucket in course.buckets] == [AT - DAY]


def test_a_row_older_than_all_buckets_has_one_that_ends_where_they_begin(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.aged(HOUR, "a")
    course.desk.store({"id": "older", "state": "new", "at": (AT - DAY).isoformat()})
    course.polls(course.every)
    first, second = course.buckets
    assert (first.start_at, first.end_at) == (AT - DAY, second.start_at)
    assert course.row("older").bucket_id == first.id


def test_more_buckets_than_fit_a_commit_are_all_cut(database: Database) -> None:
    course = Course.begun(database, replace(WINDOWED, page_size=2))
    course.desk.store(
        *({"id": f"{number}", "state": "new", "at": (AT - HOUR - number * HOUR).isoformat()} for number in range(230))
    )
    course.model.put("mark")
    course.model.doctor = lambda rows: [row for row in rows if row["id"] == "mark"]
    course.poll()
    assert len(course.desk.rows(BucketRow)) > 110
    assert {row.bucket_id is None for row in course.desk.rows(NotificationRow) if row.external_id != "mark"} == {False}


def _held(course: Course, bucket: BucketRow) -> int:
    return sum(1 for row in course.desk.rows(NotificationRow) if row.bucket_id == bucket.id)
