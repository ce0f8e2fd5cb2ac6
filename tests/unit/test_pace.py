from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.pace import room_at, spent
from worker.settings import Rate

SECOND = timedelta(seconds=1)
PERIODS = st.sampled_from([SECOND, 60 * SECOND, 3600 * SECOND])


@pytest.mark.parametrize(
    ("rate", "room"),
    [(Rate(50, SECOND), 50), (Rate(1, SECOND), 1), (Rate(90, 60 * SECOND), 1), (Rate(600, 60 * SECOND), 10)],
)
def test_what_fits_into_a_second_may_go_at_once(rate: Rate, room: int) -> None:
    assert room_at(rate, None, AT) == room


def test_what_is_used_up_comes_back_evenly() -> None:
    rate = Rate(4, SECOND)
    used_up = spent(rate, None, 4, AT)
    assert [room_at(rate, used_up, AT + SECOND * quarter / 4) for quarter in range(6)] == [0, 1, 2, 3, 4, 4]


def test_what_was_not_used_is_not_saved_up() -> None:
    assert room_at(Rate(4, SECOND), AT - timedelta(days=1), AT) == 4


@given(st.integers(1, 500), PERIODS, st.lists(st.integers(0, 5_000), min_size=1, max_size=40))
def test_no_period_has_more_than_its_limit_and_a_second_of_burst(count: int, per: timedelta, waits: list[int]) -> None:
    rate, now = Rate(count, per), AT
    used_up: datetime | None = None
    made = 0
    for wait in waits:
        now += timedelta(milliseconds=wait)
        room = room_at(rate, used_up, now)
        used_up = spent(rate, used_up, room, now)
        made += room
    burst = max(1, count * SECOND / per)
    assert made <= (now - AT) / per * count + burst + 1
