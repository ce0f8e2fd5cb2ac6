from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from tests.fakes import AT, FakeClock
from tests.integration.schedule.town import house
from worker.moment import next_moment
from worker.store.tables import Source
from worker.wiring import House

MONTH = timedelta(days=30)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(AT)


@pytest.fixture
def started(tmp_path: Path, database_url: str, clock: FakeClock) -> Callable[..., tuple[House, datetime]]:
    """The source `books` with this schedule, in a process that starts now: its house, closed, and when it is due."""

    def start(**own: Any) -> tuple[House, datetime]:
        home = house(tmp_path, database_url, {"books": own}, clock)
        try:
            home.move_in()
            with home.database.reading() as session:
                return home, session.exec(select(Source.next_poll_at).where(col(Source.name) == "books")).one()
        finally:
            home.close()

    return start


def _leave(home: House, **values: object) -> None:
    """The source as an earlier process left it."""
    with home.database.transaction() as session:
        session.execute(update(Source).values(**values))
    home.close()


def test_a_shorter_interval_takes_effect_at_the_next_start(
    started: Callable[..., tuple[House, datetime]], clock: FakeClock
) -> None:
    home, _ = started(every="30d")
    _leave(home, next_poll_at=AT + MONTH)
    clock.turn(minutes=10)
    changed, due = started(every="5m")
    assert due == next_moment("books", changed.schedule("books"), clock())


def test_a_cron_expression_in_another_zone_takes_effect_at_the_next_start(
    started: Callable[..., tuple[House, datetime]],
) -> None:
    home, _ = started(cron="0 14 * * *", timezone="UTC")
    _leave(home, next_poll_at=AT + timedelta(hours=2))
    assert started(cron="0 14 * * *", timezone="Europe/Amsterdam")[1] == AT + timedelta(hours=1)


def test_the_same_schedule_leaves_a_providers_wish_to_be_left_alone(
    started: Callable[..., tuple[House, datetime]],
) -> None:
    home, _ = started(every="5m")
    _leave(home, next_poll_at=AT + MONTH)
    assert started(every="5m")[1] == AT + MONTH


def test_what_fails_keeps_to_its_wait(started: Callable[..., tuple[House, datetime]]) -> None:
    home, _ = started(every="30d")
    _leave(home, next_poll_at=AT + timedelta(hours=1), failures=9)
    assert started(every="1s")[1] == AT + timedelta(hours=1)


def test_a_longer_interval_puts_off_no_poll_that_is_due(started: Callable[..., tuple[House, datetime]]) -> None:
    home, _ = started(every="5m")
    _leave(home, next_poll_at=AT + timedelta(minutes=1))
    assert started(every="30d")[1] == AT + timedelta(minutes=1)


def test_a_source_that_is_no_longer_configured_is_not_sent(tmp_path: Path, database_url: str, clock: FakeClock) -> None:
    configured: tuple[dict[str, dict[str, str]], ...] = ({"books": {}, "old": {}}, {"books": {}})
    for sources in configured:
        home = house(tmp_path, database_url, sources, clock)
        home.move_in()
        sent = home.due_sources("bookkeep")
        clock.turn(minutes=1)
        home.close()
    assert sent == ["books"]
