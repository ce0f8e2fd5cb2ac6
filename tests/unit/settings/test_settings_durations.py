from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.settings import parse_duration, shown_duration

milliseconds = st.integers(0, 10**12).map(lambda count: timedelta(milliseconds=count))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "5", "1.5h", "-5s", "5 s", "1 fortnight", "5S", "\u0665s", "5s\n", "1h30m", "1e3s"]
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 30s, 5m, 2h or 7d"):
        parse_duration(text)


def test_a_duration_beyond_all_bounds_is_too_long() -> None:
    with pytest.raises(ValueError, match='"999999999999d" is too long'):
        parse_duration("999999999999d")


@given(milliseconds)
def test_a_duration_that_is_shown_is_read_back_as_the_same(duration: timedelta) -> None:
    assert parse_duration(shown_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(seconds=60), "1m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(hours=24), "1d"),
        (timedelta(microseconds=1500), "1ms"),
        (timedelta(), "0s"),
    ],
)
def test_the_largest_unit_that_needs_no_fraction_is_shown(duration: timedelta, expected: str) -> None:
    assert shown_duration(duration) == expected
