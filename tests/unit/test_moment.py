from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.moment import Schedule, lags, next_moment, shortest, tick

MINUTE = timedelta(minutes=1)
EVERY = Schedule(every=5 * MINUTE)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@given(INSTANTS, st.timedeltas(timedelta(seconds=1), timedelta(days=30)), st.text())
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


def _moments(cron: str, zone: str, start: str, count: int) -> list[str]:
    """So many moments after a local time, as that zone's clocks show them."""
    at, found = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), []
    for _ in range(count):
        at = next_moment("books", Schedule(cron=cron, timezone=zone), at)
        found.append(f"{at.astimezone(ZoneInfo(zone)):%d %H:%M%z}")
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "start", "shown"),
    [
        ("30 2 * * *", "Europe/Amsterdam", "2026-03-28 01:00", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        ("30 2 * * *", "America/New_York", "2026-03-07 01:00", ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]),
        ("15,45 2 * * *", "Europe/Amsterdam", "2026-03-29 01:00", ["29 03:00+0200", "30 02:15+0200", "30 02:45+0200"]),
        ("*/30 * * * *", "Europe/Amsterdam", "2026-03-29 01:00", ["29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
        ("*/30 * * * *", "America/New_York", "2026-03-08 01:00", ["08 01:30-0500", "08 03:00-0400", "08 03:30-0400"]),
        ("30 2 * * *", "Australia/Lord_Howe", "2026-10-03 03:00", ["04 02:30+1100", "05 02:30+1100", "06 02:30+1100"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 03:00", ["04 02:30+1100", "05 02:15+1100", "06 02:15+1100"]),
    ],
    ids=["Amsterdam", "New York", "two at once", "wildcard", "wildcard, New York", "half an hour", "within it"],
)
def test_a_skipped_hours_moment_comes_right_after_it(cron: str, zone: str, start: str, shown: list[str]) -> None:
    assert _moments(cron, zone, start, 3) == shown


@pytest.mark.parametrize(
    ("cron", "zone", "start", "shown"),
    [
        ("30 2 * * *", "Europe/Amsterdam", "2026-10-24 12:00", ["25 02:30+0200", "26 02:30+0100", "27 02:30+0100"]),
        ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["01 01:30-0400", "02 01:30-0500", "03 01:30-0500"]),
        ("0 1-3 * * *", "Europe/Amsterdam", "2026-10-25 00:30", ["25 01:00+0200", "25 02:00+0200", "25 03:00+0100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", ["05 01:45+1100", "06 01:45+1030", "07 01:45+1030"]),
    ],
    ids=["Amsterdam", "New York", "a range", "half an hour"],
)
def test_a_doubled_hours_moment_comes_once(cron: str, zone: str, start: str, shown: list[str]) -> None:
    assert _moments(cron, zone, start, 3) == shown


def test_a_wildcard_comes_in_both_times_of_a_doubled_hour() -> None:
    assert _moments("*/30 * * * *", "Europe/Amsterdam", "2026-10-25 01:45", 5) == [
        "25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100", "25 03:00+0100",
    ]  # fmt: skip


@pytest.mark.parametrize("minute", range(0, 60, 10))
def test_in_the_second_time_of_a_doubled_hour_no_moment_lies_in_the_past(minute: int) -> None:
    after = _utc(f"2026-10-25T02:{minute:02}:00+01:00")
    moment = next_moment("books", Schedule(cron="30 2 * * *", timezone="Europe/Amsterdam"), after)
    assert moment == _utc("2026-10-26T02:30:00+01:00")


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("Asia/Kolkata", "2026-03-21T02:30:00+00:00"),
        ("Asia/Kathmandu", "2026-03-21T02:15:00+00:00"),
        ("Australia/Adelaide", "2026-03-20T21:30:00+00:00"),
    ],
)
def test_zones_of_half_and_quarter_hours_are_kept_to(zone: str, moment: str) -> None:
    assert next_moment("books", Schedule(cron="0 8 * * *", timezone=zone), AT) == _utc(moment)


CRONS = [
    "*/5 * * * *",
    "*/7 1-3 * * *",
    "30 2 * * *",
    "0 0,2,3 * * sun",
    "15,45 */2 * * *",
    "59 23 L * *",
    "0 1 29 2 *",
]
ZONES = ["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]


@given(INSTANTS, st.sampled_from(CRONS), st.sampled_from(ZONES))
def test_the_next_moment_of_cron_is_always_ahead(after: datetime, cron: str, zone: str) -> None:
    moment = next_moment("books", Schedule(cron=cron, timezone=zone), after)
    assert after < moment < after + timedelta(days=8 * 366)
    assert (moment.second, moment.microsecond) == (0, 0)


def test_what_comes_once_in_decades_is_waited_for() -> None:
    schedule = Schedule(cron="0 0 * 2 MON#5")
    assert next_moment("books", schedule, AT) == _utc("2044-02-29T00:00:00+00:00")
    assert not lags("books", schedule, AT, AT + timedelta(days=365))


def test_a_cron_expression_that_never_comes_stops_nothing() -> None:
    moment = next_moment("books", Schedule(cron="0 0 */30 * MON#2"), AT)
    assert moment - AT == timedelta(days=50 * 365)


@pytest.mark.parametrize("every", [timedelta(seconds=1), timedelta(days=30)])
def test_the_shortest_and_the_longest_interval_are_kept_to(every: timedelta) -> None:
    first = next_moment("books", Schedule(every=every), AT)
    second = next_moment("books", Schedule(every=every), first)
    assert (AT < first <= AT + every, second - first) == (True, every)


def test_after_a_week_away_a_source_is_polled_once() -> None:
    back = AT + timedelta(days=7)
    assert next_moment("books", EVERY, back) - back <= 5 * MINUTE


def test_with_the_same_interval_every_process_finds_the_same_moment() -> None:
    assert next_moment("books", EVERY, AT) == _utc("2026-03-20T12:02:09.132768+00:00")


def test_a_month_behind_every_second_lags_as_four_seconds_do() -> None:
    every_second = Schedule(every=timedelta(seconds=1))
    assert lags("books", every_second, AT, AT + timedelta(days=30))
    assert lags("books", every_second, AT, AT + timedelta(seconds=4))


@pytest.mark.parametrize(
    ("count", "schedule", "seconds"),
    [
        (1, Schedule(every=timedelta(seconds=1)), 1),
        (1, Schedule(every=timedelta(seconds=30)), 3),
        (10, EVERY, 5),
        (1000, EVERY, 3),
        (10_000, EVERY, 1),
        (1, Schedule(every=timedelta(days=30)), 5),
        (1, Schedule(cron="0 9 * * *"), 5),
    ],
)
def test_looks_are_as_many_as_find_a_few_each(count: int, schedule: Schedule, seconds: float) -> None:
    assert tick([schedule] * count) == timedelta(seconds=seconds)


def test_schedules_that_differ_have_other_words() -> None:
    schedules = [
        EVERY,
        Schedule(every=MINUTE),
        Schedule(cron="0 9 * * *"),
        Schedule(cron="0 9 * * *", timezone="Asia/Tokyo"),
    ]
    assert len({schedule.words for schedule in schedules}) == 4
    assert Schedule().words == Schedule(every=MINUTE).words
