"""What following costs and how soon it sees, in simulated time: 20,000 notifications a day, 12 % of them open for long.

They are 200 pages a day. Buckets don't know of each other, so four of these pages, as dense as all would be, stand for
the others, whose requests are counted with theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from statistics import quantiles
from typing import Any

import pytest
from sqlalchemy import event

from tests.fakes import AT
from tests.integration.following.course import DAY, OVERLAP, Course
from tests.model import OLDEST_FIRST, WINDOWED
from worker.provider import Contract, Order
from worker.store.session import Database
from worker.store.tables import BucketRow, Message, NotificationRow

A_DAY, PAGE, OPEN = 20_000, 100, 12
PAGES_SHOWN = 2
FOR_BUCKETS, IN_ALL = 19_000, 25_000
MOST_OF_A_DAY = PAGES_SHOWN * OPEN / 2
STAND_FOR = A_DAY / PAGE / PAGES_SHOWN
SPAN = DAY / (A_DAY / PAGE)
ROWS = 16
"""So many rows stand for a page: the open ones, and some of the others."""

EVERY = timedelta(minutes=1)
BUSY = SPAN + OVERLAP * 2
MARK = timedelta(minutes=2)
DAYS = 2
PLAIN = replace(WINDOWED, order=Order.OLDEST_FIRST)
ANSWERED_IN = timedelta(milliseconds=100)


@dataclass(frozen=True)
class Closing:
    """An open row is closed, at that age."""

    identity: str
    at: datetime
    age: timedelta


def _stretches() -> list[datetime]:
    """When the pages that are shown begin: for 30 days already, and for the days to come."""
    random = Random(11)
    numbers = range(-30 * PAGES_SHOWN, DAYS * PAGES_SHOWN)
    return [AT + DAY / PAGES_SHOWN * (number + random.random() / 2) for number in numbers]


def _history(course: Course, stretches: list[datetime]) -> list[Closing]:
    """Rows that are made, and closed within 30 days; marks among them move the high-water mark as the others would."""
    random, closings = Random(12), []
    for begin in stretches:
        for row in range(ROWS):
            at = begin + SPAN / ROWS * row
            identity = f"{begin:%m%d%H%M}-{row}"
            course.model.put(identity, "new" if row < OPEN else "resolved", at, shown_at=at)
            if row < OPEN:
                age = 30 * DAY * random.random()
                course.model.change(identity, state="resolved", when=at + age)
                closings.append(Closing(identity, at + age, age))
        for number in range((BUSY - SPAN) // MARK):
            at = begin + SPAN + MARK * number
            course.model.put(f"{begin:%m%d%H%M}-mark-{number}", "resolved", at, shown_at=at)
    return closings


def _under_way(course: Course) -> None:
    """As if the buckets had been read at any moment of their intervals, and not all just now."""
    random = Random(13)
    for bucket in course.buckets:
        left = (bucket.look_again_at - course.clock.at) * random.random()
        course.desk.change(BucketRow, {"look_again_at": course.clock.at + left}, id=bucket.id)


def _run(course: Course, stretches: list[datetime]) -> None:
    """Poll every minute while rows arrive, and whenever something is due."""
    end = AT + DAYS * DAY
    while course.clock.at < end:
        now = course.clock.at
        busy = any(begin <= now < begin + BUSY for begin in stretches)
        come = min([begin for begin in stretches if begin > now], default=end)
        course.clock.at = course.next_poll(now if busy else come)
        course.poll()


@contextmanager
def _hasty(database: Database) -> Iterator[None]:
    """Commits that don't wait for the disk."""

    def hurry(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    database.close()
    event.listen(database.engine, "connect", hurry)
    yield
    event.remove(database.engine, "connect", hurry)


def _requests_a_poll(database: Database, contract: Contract, every: timedelta) -> float:
    """Without buckets: the live pass, and asking for later changes, where all rows are as dense as they are."""
    course = Course.begun(database, replace(contract, page_size=PAGE), AT - 2 * OVERLAP)
    course.every, gap = every, DAY / A_DAY
    for number in range((2 * OVERLAP + 20 * every) // gap):
        at = AT - 2 * OVERLAP + gap * number
        course.model.put(f"{number}", "resolved", at, shown_at=at, resolved=at.isoformat())
    course.poll()
    before = course.model.requests
    course.polls(20 * every)
    return (course.model.requests - before) / 20


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_buckets_of_a_large_source_cost_little_and_see_changes_within_a_tenth_of_their_age(database: Database) -> None:
    stretches = _stretches()
    with _hasty(database):
        course = Course.begun(database, replace(WINDOWED, page_size=ROWS), AT - 31 * DAY)
        closings, course.every = _history(course, stretches), EVERY
        course.model.before = lambda _kind: course.clock.turn(seconds=ANSWERED_IN.total_seconds())
        course.poll()
        _under_way(course)
        before = course.later.asked.total()
        _run(course, stretches)
    assert (course.later.asked.total() - before) / DAYS * STAND_FOR < FOR_BUCKETS
    delays = _delays(course, closings)
    assert len(delays) > MOST_OF_A_DAY
    assert quantiles(delays, n=20)[-1] < 0.1  # a tenth of its age


@pytest.mark.parametrize(
    ("contract", "every"),
    [(PLAIN, timedelta(minutes=1)), (WINDOWED, timedelta(minutes=2)), (OLDEST_FIRST, timedelta(minutes=2))],
    ids=["in order", "in no order", "with changes"],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_large_source_takes_under_25000_requests_a_day(
    database: Database, contract: Contract, every: timedelta
) -> None:
    with _hasty(database):
        a_poll = _requests_a_poll(database, contract, every)
    assert a_poll * (DAY / every) + FOR_BUCKETS < IN_ALL


def _delays(course: Course, closings: list[Closing]) -> list[float]:
    """How long after each closing it was told, in parts of the age; of those that all had the time to be."""
    told = {row.external_id: row for row in course.desk.rows(NotificationRow)}
    seen = {row.notification_id: row.created_at for row in course.desk.rows(Message) if row.revision > 1}
    due = [one for one in closings if AT < one.at and one.at + DAY < course.clock.at]
    return [(seen[told[one.identity].id] - one.at) / one.age for one in due]
