from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.moment import Schedule, lags, next_moment, shortest

MINUTE = timedelta(minutes=1)
EVERY = Schedule(every=5 * MINUTE)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@given(INSTANTS, st.timedeltas(timedelta(seconds=1), timedelta(days=7)), st.text())
def test_the_next_moment_is_after_and_within_the_interval(after: datetime, every: timedelta, name: str) -> None:
    moment = next_moment(name, Schedule(every=every), after)
    assert after < moment <= after + every
    assert next_moment(name, Schedule(every=every), moment) == moment + every


def test_a_sources_moment_is_fixed_by_its_name() -> None:
    moments = {name: next_moment(name, EVERY, AT) for name in ("registrar", "books", "govapp")}
    assert len(set(moments.values())) == 3
    assert moments["books"] == next_moment("books", EVERY, moments["books"] - timedelta(microseconds=1))


def test_a_thousand_sources_do_not_wake_together() -> None:
    minutes = [(next_moment(f"s{number}", EVERY, AT) - AT) // MINUTE for number in range(1000)]
    assert all(minutes.count(minute) > 150 for minute in range(5))


def test_missed_moments_are_skipped() -> None:
    moment = next_moment("books", EVERY, AT)
    later = next_moment("books", EVERY, AT + timedelta(days=3, minutes=1))
    assert later - moment == timedelta(days=3) + (timedelta() if moment > AT + MINUTE else 5 * MINUTE)


def test_without_a_schedule_it_is_every_minute() -> None:
    assert next_moment("books", Schedule(), AT) == next_moment("books", Schedule(every=MINUTE), AT)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "moment"),
    [
        ("*/5 8-18 * * mon-fri", "UTC", "2026-03-20T18:55:00+00:00", "2026-03-23T08:00:00+00:00"),
        ("*/5 8-18 * * mon-fri", "Europe/Amsterdam", "2026-03-20T07:59:00+00:00", "2026-03-20T08:00:00+00:00"),
        ("0 9 * * *", "Europe/Amsterdam", "2026-03-28T09:00:00+00:00", "2026-03-29T07:00:00+00:00"),
        ("30 2 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00+00:00", "2026-03-29T01:00:00+00:00"),
        ("30 2 * * *", "Europe/Amsterdam", "2026-10-24T12:00:00+00:00", "2026-10-25T00:30:00+00:00"),
        ("30 2 * * *", "Europe/Amsterdam", "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"),
    ],
    ids=["weekend", "zone", "summer", "skipped hour", "doubled hour", "not twice"],
)
def test_cron_is_read_in_its_time_zone(cron: str, zone: str, after: str, moment: str) -> None:
    assert next_moment("books", Schedule(cron=cron, timezone=zone), _utc(after)) == _utc(moment)


@pytest.mark.parametrize(("behind", "late"), [(1, False), (3, False), (4, True), (40, True)])
def test_a_source_lags_when_more_than_three_moments_have_passed(behind: int, late: bool) -> None:  # noqa: FBT001  # a table
    moment = next_moment("books", EVERY, AT)
    assert lags("books", EVERY, AT, moment + 5 * MINUTE * (behind - 1)) is late


@pytest.mark.parametrize(
    ("every", "wait"), [(None, MINUTE), (timedelta(seconds=9), timedelta(seconds=9)), (2 * MINUTE, MINUTE)]
)
def test_a_first_wait_is_no_longer_than_the_interval(every: timedelta | None, wait: timedelta) -> None:
    assert shortest(Schedule(every=every, cron=None if every else "* * * * *"), MINUTE) == wait
