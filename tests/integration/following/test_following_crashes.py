"""Following under kills, stalls and failures: nothing is lost, nothing is told twice, the live pass stands."""

from datetime import datetime, timedelta
from itertools import count

import pytest

from tests.fakes import AT
from tests.integration.following.course import DAY, OVERLAP, Course, KilledError, killed
from tests.model import OLDEST_FIRST, WINDOWED
from worker.errors import AuthFailed, ContractBroken, LeaseLost, RateLimited, Unavailable
from worker.provider import Contract
from worker.rest.budget import BudgetUsedUp
from worker.store.session import Database
from worker.store.sources import LEASE_FOR
from worker.store.tables import BucketRow

HOUR = timedelta(hours=1)


def _much_to_do(database: Database, contract: Contract) -> Course:
    """A poll is due that finds a new row, a change, a withdrawal and an expiry."""
    course = Course.begun(database, contract)
    for number in range(8):
        course.model.put(f"other {number}", at=AT - timedelta(minutes=10 * number))
    course.model.put("ends", until=(AT + 9 * HOUR).isoformat())
    course.aged(5 * HOUR, "changes", "goes")
    course.model.remove("goes")
    course.leap(5 * HOUR, until=lambda: course.row("goes").absences == 1)
    course.clock.at = AT + 10 * HOUR
    course.model.change("changes", text="another")
    course.model.put("comes")
    return course


@pytest.mark.parametrize("contract", [WINDOWED, OLDEST_FIRST], ids=["windows", "by id and by changes"])
def test_a_kill_between_any_two_commits_loses_nothing_and_tells_nothing_twice(
    database: Database, contract: Contract
) -> None:
    course = _much_to_do(database, contract)
    for at in count(1):
        try:
            with killed(database, at):
                course.poll()
        except KilledError:
            course.clock.at += LEASE_FOR
        else:
            break
    assert at > 10
    course.poll()
    told = {identity: course.told(identity) for identity in ("comes", "changes", "goes", "ends")}
    assert told == {
        "comes": ["created"],
        "changes": ["created", "updated"],
        "goes": ["created", "withdrawn"],
        "ends": ["created", "expired"],
    }


def test_a_process_that_stalls_while_it_follows_writes_nothing(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    before: list[list[object]] = []

    def stall() -> None:
        course.clock.at += LEASE_FOR
        before.append(course.everything())

    course.later.before = stall
    with pytest.raises(LeaseLost):
        course.poll()
    assert before == [course.everything()]


def _at_once(error: Exception, times: int = 1) -> list[Exception]:
    return [error] * times


def _failing(course: Course, errors: list[Exception]) -> None:
    """The first readings fail so; those after them don't."""

    def fail() -> None:
        if errors:
            raise errors.pop(0)

    course.later.before = fail


def test_a_bucket_that_can_not_be_read_undoes_nothing_and_holds_up_no_other(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    _failing(course, _at_once(ContractBroken("of this one")))
    with pytest.raises(ContractBroken, match="of this one"):
        course.poll()
    assert course.source.covered_until == course.clock.at
    assert course.told("comes") == ["created"]
    assert _due(course) == []
    assert course.told("ends") == ["created", "expired"]


def test_what_failed_is_read_again_within_the_hour(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    _failing(course, _at_once(ContractBroken(), 10))
    with pytest.raises(ContractBroken):
        course.poll()
    course.later.before = lambda: None
    course.leap(HOUR + course.every)
    assert (course.told("changes")[-1], course.told("goes")[-1]) == ("updated", "withdrawn")


@pytest.mark.parametrize("error", [ContractBroken(), Unavailable()], ids=["broken", "unavailable"])
def test_following_that_fails_never_puts_off_the_live_pass(database: Database, error: Exception) -> None:
    course = _much_to_do(database, WINDOWED)
    for _ in range(12):
        _failing(course, _at_once(error, 100))
        with pytest.raises(type(error)):
            course.poll()
        assert course.source.next_poll_at <= course.clock.at + course.every
        assert course.source.failing_since is not None
        course.clock.at += HOUR


def test_an_api_that_is_down_is_left_alone_and_others_come_first_the_next_time(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    _, *others = (bucket.id for bucket in _due(course))
    asked = course.later.asked.total()
    _failing(course, _at_once(Unavailable()))
    with pytest.raises(Unavailable):
        course.poll()
    assert course.later.asked.total() == asked
    assert [bucket.id for bucket in _due(course)] == others
    course.poll()
    assert _due(course) == []


def _due(course: Course) -> list[BucketRow]:
    """The longest-waiting first."""
    due = [bucket for bucket in course.buckets if bucket.look_again_at <= course.clock.at]
    return sorted(due, key=lambda bucket: bucket.look_again_at)


def test_a_rate_limit_while_following_is_obeyed_and_what_is_due_stays_due(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    due = [bucket.id for bucket in _due(course)]
    _failing(course, _at_once(RateLimited(retry_after=timedelta(minutes=20))))
    with pytest.raises(RateLimited):
        course.poll()
    assert course.source.next_poll_at >= course.clock.at + timedelta(minutes=20)
    assert [bucket.id for bucket in _due(course)] == due


def test_a_budget_that_is_used_up_is_no_failure_and_what_is_due_stays_due(database: Database) -> None:
    course = _much_to_do(database, OLDEST_FIRST)
    due = [bucket.id for bucket in _due(course)]
    _failing(course, _at_once(BudgetUsedUp(retry_after=timedelta(minutes=1)), 10))
    course.poll()
    assert (course.source.failures, course.told("ends")[-1]) == (0, "expired")
    assert [bucket.id for bucket in _due(course)] == due
    course.later.before = lambda: None
    course.poll()
    assert (course.told("changes")[-1], course.told("goes")[-1]) == ("updated", "withdrawn")


def test_refused_credentials_pause_the_source_while_it_follows_too(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    _failing(course, _at_once(AuthFailed()))
    with pytest.raises(AuthFailed):
        course.poll()
    assert course.source.paused_at == course.clock.at


def test_changes_that_can_not_be_asked_for_hold_up_no_bucket(database: Database) -> None:
    course = _much_to_do(database, OLDEST_FIRST)
    course.model.before = _refusing_changes
    with pytest.raises(ContractBroken):
        course.poll()
    assert (course.told("changes")[-1], course.told("goes")[-1]) == ("updated", "withdrawn")


def _refusing_changes(kind: str) -> None:
    if kind == "changes":
        raise ContractBroken


def test_a_process_that_is_told_to_end_stops_between_two_commits(database: Database) -> None:
    course = _much_to_do(database, WINDOWED)
    course.stopping = lambda: course.later.asked.total() > asked
    asked = course.later.asked.total()
    course.poll()
    assert course.later.asked.total() == asked + 1
    course.stopping = lambda: False
    course.leap(HOUR)
    assert (course.told("changes")[-1], course.told("goes")[-1]) == ("updated", "withdrawn")


def test_two_pollers_in_turns_see_each_change_once(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.aged(HOUR, "a", "b")
    changed: list[datetime] = []
    for _ in range(5):
        course.clock.at += OVERLAP * 2
        course.model.change("a", text=f"{course.clock.at}")
        changed.append(course.clock.at)
        course.poll()
        course.poll()
    course.leap(DAY)
    assert course.told("a") == ["created", *["updated"] * len(changed)]
