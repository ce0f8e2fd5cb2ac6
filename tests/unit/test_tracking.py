from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.provider import Contract, Order, Paging, Window
from worker.tracking import Bucket, Member, Way, look_again_at, passed, rounds, try_again_at, way, window

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WINDOWED = Contract(
    paging=Paging.OFFSET, order=Order.UNKNOWN, filters_from=True, filters_to=True, page_size=100, by_id=True
)
SINCE = replace(WINDOWED, filters_to=False)
ANY = replace(WINDOWED, filters_from=False, filters_to=False)
NEWEST_FIRST = replace(ANY, order=Order.NEWEST_FIRST)
BUCKET = Bucket(1, AT - 2 * HOUR, AT - HOUR)
OLDER = Bucket(2, AT - DAY, AT - DAY / 2)
UNDATED = Bucket(3, AT - 2 * HOUR, AT - HOUR, dated=False)


@given(
    number=st.integers(1, 10_000),
    age=st.timedeltas(timedelta(), 400 * DAY),
    every=st.timedeltas(timedelta(seconds=1), 30 * DAY),
)
def test_a_bucket_is_looked_at_after_a_tenth_of_its_age_at_the_latest(
    number: int, age: timedelta, every: timedelta
) -> None:
    bucket = Bucket(number, AT - age - HOUR, AT - age)
    interval = look_again_at(bucket, every, AT, AT) - AT
    clamped = min(max(age / 10, every), DAY)
    assert clamped * 0.95 - timedelta.resolution <= interval <= clamped + timedelta.resolution


def test_the_age_is_by_the_providers_clock_and_the_moment_by_ours() -> None:
    young = look_again_at(BUCKET, MINUTE, AT, AT)
    assert look_again_at(BUCKET, MINUTE, AT + 10 * HOUR, AT) > young
    assert look_again_at(BUCKET, MINUTE, AT, AT + HOUR) == young + HOUR


def test_what_has_no_time_is_as_old_as_it_is_known_by_our_clock() -> None:
    assert look_again_at(UNDATED, MINUTE, AT + DAY, AT) < AT + HOUR / 10


def test_buckets_of_one_age_are_looked_at_at_different_moments_and_each_always_at_its_own() -> None:
    moments = [look_again_at(replace(OLDER, id=number), MINUTE, AT, AT) for number in (1, 2, 3, 1)]
    assert len(set(moments)) == 3
    assert moments[0] == moments[3]


def test_a_bucket_that_could_not_be_read_is_tried_within_the_hour() -> None:
    month = Bucket(1, AT - 31 * DAY, AT - 30 * DAY)
    assert try_again_at(month, MINUTE, AT, AT) == AT + HOUR
    assert try_again_at(BUCKET, MINUTE, AT, AT) == look_again_at(BUCKET, MINUTE, AT, AT)


def test_each_stretch_of_time_is_read_by_itself_where_it_can_be() -> None:
    assert rounds(WINDOWED, [BUCKET, OLDER]) == [[BUCKET], [OLDER]]
    assert rounds(WINDOWED, []) == []


@pytest.mark.parametrize("contract", [SINCE, ANY])
def test_one_reading_does_for_all_where_it_can_not_be(contract: Contract) -> None:
    assert rounds(contract, [BUCKET, OLDER]) == [[BUCKET, OLDER]]
    assert rounds(contract, []) == []


@pytest.mark.parametrize(
    ("contract", "bucket", "members", "list_is_long", "expected"),
    [
        (WINDOWED, BUCKET, 0, False, Way.NOT_AT_ALL),
        (WINDOWED, BUCKET, 1, False, Way.BY_ID),
        (WINDOWED, BUCKET, 2, True, Way.LISTED),
        (WINDOWED, UNDATED, 2, False, Way.BY_ID),
        (replace(WINDOWED, by_id=False), BUCKET, 1, True, Way.LISTED),
        (replace(WINDOWED, by_id=False), UNDATED, 1, True, Way.NOT_AT_ALL),
        (ANY, BUCKET, 0, True, Way.NOT_AT_ALL),
        (ANY, BUCKET, 9, True, Way.BY_ID),
        (ANY, BUCKET, 9, False, Way.LISTED),
        (ANY, UNDATED, 9, False, Way.LISTED),
        (replace(ANY, by_id=False), BUCKET, 1, True, Way.LISTED),
    ],
)
def test_the_cheapest_way_is_chosen(
    contract: Contract,
    bucket: Bucket,
    members: int,
    list_is_long: bool,  # noqa: FBT001  # a column of the table
    expected: Way,
) -> None:
    assert way(contract, [bucket], members, list_is_long=list_is_long) is expected


def test_as_much_is_asked_for_as_the_api_can_be_asked_for_with_a_grain_at_either_end() -> None:
    second = WINDOWED.grain
    assert window(WINDOWED, [BUCKET]) == Window(AT - 2 * HOUR - second, AT - HOUR + second)
    assert window(SINCE, [BUCKET, OLDER]) == Window(AT - DAY - second, None)
    assert window(ANY, [BUCKET]) == Window()
    assert window(SINCE, [BUCKET, UNDATED]) == Window()


def test_only_newest_first_leaves_buckets_behind() -> None:
    overlap = 10 * MINUTE
    assert passed(NEWEST_FIRST, [BUCKET], AT - 2 * HOUR - 11 * MINUTE, overlap)
    assert not passed(NEWEST_FIRST, [BUCKET], AT - 2 * HOUR - 9 * MINUTE, overlap)
    assert not passed(NEWEST_FIRST, [BUCKET, OLDER], AT - 3 * HOUR, overlap)
    assert not passed(NEWEST_FIRST, [BUCKET, UNDATED], AT - 3 * DAY, overlap)
    assert not passed(NEWEST_FIRST, [BUCKET], None, overlap)
    assert not passed(ANY, [BUCKET], AT - 3 * DAY, overlap)


def test_the_second_absence_in_a_row_is_one_too_many() -> None:
    assert [Member("a", absences).absent_too_often for absences in range(3)] == [False, True, True]
