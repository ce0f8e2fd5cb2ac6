from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.retry_after import parse_retry_after

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CENTURY = timedelta(days=36_525)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (" 120\r\n", timedelta(minutes=2)),
        ("0", timedelta(0)),
        ("007", timedelta(seconds=7)),
        ("Sat, 21 Nov 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Saturday, 21-Nov-26 12:05:00 GMT", timedelta(minutes=5)),
        ("Sat Nov 21 12:05:00 2026", timedelta(minutes=5)),
        ("Sat, 21 Nov 2026 13:05:00 +0100", timedelta(minutes=5)),
        ("Sat, 21 Nov 2026 12:00:00 GMT", timedelta(0)),
        ("99999999999", CENTURY),
        ("9" * 5000, CENTURY),
        ("3155760001", CENTURY),
        ("Fri, 31 Dec 9999 23:59:59 GMT", CENTURY),
    ],
)
def test_seconds_and_dates_are_waits(text: str, wait: timedelta) -> None:
    assert parse_retry_after(text, NOW) == wait


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-5", "+5", "1.5", "1e3", "٣", "Sat, 21 Nov 2026 11:59:59 GMT", "Sat, 99 Nov 2026 11:59:59 GMT"],
)
def test_a_past_date_and_what_is_neither_say_nothing(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


@given(st.text())
def test_no_text_whatever_is_an_error(text: str) -> None:
    wait = parse_retry_after(text, NOW)
    assert wait is None or timedelta(0) <= wait <= CENTURY
