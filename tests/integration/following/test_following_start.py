"""What lies before `start_at`, and changes all the same (CLARIFICATIONS, 7)."""

from datetime import timedelta

from tests.fakes import AT
from tests.integration.following.course import DAY, EVERY, Course
from tests.model import NEWEST_FIRST, OLDEST_FIRST
from worker.store.session import Database

MINUTE = timedelta(minutes=1)


def _begun(database: Database) -> Course:
    """A source with `start_at = "now"`, whose provider has older notifications."""
    course = Course.begun(database, OLDEST_FIRST, start_at=AT)
    for identity, age in {"old": 3 * DAY, "older": 90 * DAY, "long read": DAY}.items():
        course.model.put(identity, at=AT - age, shown_at=AT - age)
    course.model.change("long read", state="read", when=AT - 5 * MINUTE)
    course.poll()
    return course


def test_a_later_change_of_an_older_notification_is_delivered_as_an_update(database: Database) -> None:
    course = _begun(database)
    course.polls(3 * EVERY)
    course.model.change("older", state="resolved")
    course.polls(EVERY)
    assert course.owed("older") == [("updated", "pending", None)]
    assert course.row("older").status == "resolved"


def test_an_older_notification_that_does_not_change_is_not_told(database: Database) -> None:
    course = _begun(database)
    course.model.change("old", state="read", when=AT + MINUTE)
    course.polls(5 * EVERY)
    assert course.known == {"old"}


def test_a_change_just_before_the_start_is_not_delivered(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST, start_at=AT)
    course.model.put("old", at=AT - DAY, shown_at=AT - DAY)
    course.model.change("old", state="read", when=AT - OLDEST_FIRST.grain / 2)
    course.poll()
    assert course.owed("old") == [("created", "skipped", "before start_at")]


def test_a_change_between_the_start_and_the_first_poll_is_delivered(database: Database) -> None:
    course = Course.begun(database, OLDEST_FIRST, start_at=AT)
    course.model.put("old", at=AT - DAY, shown_at=AT - DAY)
    course.model.change("old", state="read", when=AT + 2 * DAY)
    course.clock.at = AT + 5 * DAY
    course.poll()
    assert course.owed("old") == [("updated", "pending", None)]


def test_an_older_notification_that_changed_and_is_open_is_followed_from_then_on(database: Database) -> None:
    course = _begun(database)
    course.model.change("older", state="read", when=AT + MINUTE)
    course.polls(3 * EVERY)
    course.model.change("older", text="another")
    course.leap(2 * DAY, until=lambda: course.row("older").revision == 2)
    assert course.told("older") == ["updated", "updated"]


def test_changes_that_a_killed_poll_did_not_ask_for_are_asked_for_by_the_next(database: Database) -> None:
    course = _begun(database)
    course.clock.at += DAY
    course.model.change("old", state="read")
    course.clock.at += DAY

    def broken() -> None:
        raise MemoryError

    course.later.before = broken
    try:
        course.poll()
    except MemoryError:
        course.later.before = lambda: None
    course.clock.at += DAY
    course.poll()
    assert course.owed("old") == [("updated", "pending", None)]


def test_where_changes_can_not_be_asked_for_an_older_one_is_stored_and_its_change_delivered(database: Database) -> None:
    course = Course.begun(database, NEWEST_FIRST, start_at=AT)
    course.model.put("old", at=AT - DAY, shown_at=AT - DAY)
    course.model.put("mark", at=AT)
    course.poll()
    assert course.owed("old") == [("created", "skipped", "before start_at")]
    course.model.change("old", text="another")
    course.leap(DAY, until=lambda: course.row("old").revision == 2)
    assert course.owed("old")[1] == ("updated", "pending", None)
