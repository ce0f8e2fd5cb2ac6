"""A source that holds more than may be asked for at once is read all the same (POLLING, sections 2 and 5)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import AT
from tests.integration.following.course import Course
from tests.model import NEWEST_FIRST, OLDEST_FIRST, SINCE, WINDOWED, ModelProvider
from worker.errors import ContractBroken, RateLimited, Unavailable
from worker.provider import Contract, Paging, Window
from worker.rest.manners import LONGEST_REST
from worker.store.session import Database

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Days go by in these; what they do to a database is tested on both by their neighbours."""

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ROWS = 150
A_MINUTE = 8
"""So many requests may be made in a minute; the rows fill four times as many pages."""

CONTRACTS = {
    "oldest first": OLDEST_FIRST,
    "in no order": WINDOWED,
    "newest first, numbered": NEWEST_FIRST,
    "newest first, by offset": replace(NEWEST_FIRST, paging=Paging.OFFSET),
    "since a time, by link": SINCE,
    "by link, without a filter": replace(SINCE, filters_from=False),
    "by cursor, in no order": replace(SINCE, paging=Paging.CURSOR, filters_from=False, drifts=True),
}


@pytest.fixture(params=CONTRACTS.values(), ids=CONTRACTS)
def contract(request: pytest.FixtureRequest) -> Contract:
    found: Contract = request.param
    return found


class Throttle:
    """Lets through so many requests in each minute of the clock."""

    def __init__(self, course: Course, error: Callable[[timedelta], Exception]) -> None:
        self._course, self._error = course, error
        self._minute, self._count = AT, 0

    def __call__(self) -> None:
        now = self._course.clock()
        if now - self._minute >= MINUTE:
            self._minute, self._count = now, 0
        if self._count == A_MINUTE:
            raise self._error(self._minute + MINUTE - now)
        self._count += 1


def throttled(
    database: Database,
    contract: Contract,
    apart: timedelta,
    error: Callable[[timedelta], Exception] = lambda wait: RateLimited("slowly", wait),
) -> Course:
    """Rows so far apart, the last one now, and a source that is to have them all."""
    course = Course.begun(database, contract)
    for number in range(ROWS):
        made = AT - apart * number
        course.model.put(f"r{number}", "resolved", made, shown_at=made)
    course.live.before = course.later.before = Throttle(course, error)
    return course


def read_for(course: Course, span: timedelta) -> int:
    """Poll whenever it is due, for so long or until all is read; how many polls were cut short."""
    cut_short, end = 0, course.clock.at + span
    while course.clock.at < end and course.source.covered_until is None:
        try:
            course.poll()
        except (RateLimited, Unavailable):
            cut_short += 1
        course.clock.at = max(course.source.next_poll_at, course.clock.at + timedelta(seconds=1))
    return cut_short


@pytest.mark.parametrize("apart", [8 * HOUR, timedelta(seconds=2)], ids=["over weeks", "in a burst"])
def test_what_takes_more_requests_than_may_be_made_at_once_is_read_over_many_polls(
    database: Database, contract: Contract, apart: timedelta
) -> None:
    course = throttled(database, contract, apart)
    assert read_for(course, HOUR) > 2
    assert len(course.known) == ROWS
    assert (course.source.failures, course.source.covered_until) == (0, AT)


def test_going_on_asks_for_nothing_again(database: Database, contract: Contract) -> None:
    course = throttled(database, contract, 8 * HOUR)
    read_for(course, HOUR)
    over_many = course.model.asked["list"]
    ends = course.clock.at + course.model.contract.grain if contract is WINDOWED else None
    at_once = sum(1 for _ in ModelProvider(course.model).pages(Window(end=ends)))
    assert over_many <= at_once + 1


def test_what_is_made_while_it_is_read_is_found_by_the_next_pass(database: Database, contract: Contract) -> None:
    course = throttled(database, contract, 8 * HOUR)
    with pytest.raises(RateLimited):
        course.poll()
    course.clock.turn(seconds=60)
    course.model.put("meanwhile", "resolved")
    course.model.put("late", "resolved", AT - MINUTE)
    read_for(course, HOUR)
    course.clock.turn(seconds=600)
    course.live.before = course.later.before = lambda: None
    course.poll()
    assert {"meanwhile", "late"} <= course.known


def test_a_provider_that_is_away_in_the_midst_of_a_pass_is_gone_on_with(database: Database, contract: Contract) -> None:
    course = throttled(database, contract, 8 * HOUR, lambda _: Unavailable("down"))
    assert read_for(course, 24 * HOUR) > 2
    assert (len(course.known), course.source.covered_until) == (ROWS, AT)


def test_a_pass_that_another_process_has_ended_is_not_gone_on_with(database: Database) -> None:
    course = throttled(database, OLDEST_FIRST, 8 * HOUR)
    with pytest.raises(RateLimited):
        course.poll()
    cut_short, course.cut_short = course.cut_short, {}
    course.live.before = lambda: None
    course.poll()
    course.clock.turn(seconds=60)
    course.cut_short = cut_short
    assert course.poll().covered_until == AT + MINUTE
    assert course.cut_short == {}


def test_where_it_can_not_be_gone_on_with_it_begins_anew(database: Database) -> None:
    course = throttled(database, OLDEST_FIRST, 8 * HOUR)
    with pytest.raises(RateLimited):
        course.poll()
    answered = course.cut_short["books"].window.answered
    assert answered is not None
    asked, *rest = answered.readings[3]
    answered.readings[3] = (asked._replace(path="elsewhere"), *rest)
    course.live.before = lambda: None
    with pytest.raises(ContractBroken):
        course.poll()
    course.clock.turn(seconds=60)
    assert course.poll().covered_until == AT + MINUTE
    assert len(course.known) == ROWS


def test_being_told_to_wait_is_no_failure(database: Database) -> None:
    course = throttled(database, OLDEST_FIRST, 8 * HOUR)
    with pytest.raises(RateLimited):
        course.poll()
    assert (course.source.failures, course.source.failing_since) == (0, None)
    assert course.source.next_poll_at >= AT + MINUTE
    assert course.source.reason == "The provider asks us to slow down. slowly"


def test_being_told_to_wait_for_ever_is_failing_after_three_intervals(database: Database) -> None:
    course = throttled(database, OLDEST_FIRST, 8 * HOUR)
    course.live.before = _always(RateLimited("slowly", MINUTE))
    failures = []
    for _ in range(25):
        with pytest.raises(RateLimited):
            course.poll()
        failures.append(course.source.failures)
        course.clock.turn(seconds=60)
    assert failures[:15] == [0] * 15
    assert failures[-1] > 0


def test_nobody_can_send_us_away_for_more_than_a_day(database: Database) -> None:
    course = throttled(database, OLDEST_FIRST, 8 * HOUR)
    course.live.before = _always(RateLimited("slowly", timedelta(days=9999)))
    with pytest.raises(RateLimited):
        course.poll()
    assert course.source.next_poll_at == AT + LONGEST_REST


def _always(error: Exception) -> Callable[[], None]:
    def refuse() -> None:
        raise error

    return refuse
