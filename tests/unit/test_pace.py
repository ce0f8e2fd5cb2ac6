from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT
from worker.pace import opening_room, opening_spent, room_at, spent
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


def test_a_second_after_recovery_has_twice_the_room_of_the_one_before_until_nothing_is_limited() -> None:
    rooms = [opening_room(AT, None, AT + SECOND * second) for second in range(14)]
    assert rooms == [*(1 << second for second in range(12)), None, None]


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 300)), max_size=60))
def test_whatever_is_taken_when_no_second_after_recovery_has_more_than_its_room(steps: list[tuple[int, int]]) -> None:
    now, used_up, made = AT, None, dict.fromkeys(range(12), 0)
    for wait, most in steps:
        now += timedelta(milliseconds=wait)
        room = opening_room(AT, used_up, now)
        if room is None:
            break
        assert room >= 0
        if count := min(room, most):
            used_up = opening_spent(AT, used_up, count, now)
            made[(now - AT) // SECOND] += count
    assert all(count <= 1 << second for second, count in made.items())


def test_what_was_not_taken_in_a_second_after_recovery_is_there_until_its_end() -> None:
    used_up = opening_spent(AT, None, 3, AT + 2 * SECOND)
    assert opening_room(AT, used_up, AT + 2.9 * SECOND) == 1
    assert opening_room(AT, used_up, AT + 3 * SECOND) == 8
