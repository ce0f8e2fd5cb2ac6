"""`Retry-After` in all its forms (RFC 9110, sections 5.6.7 and 10.2.3), and in none."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from worker.delivery import Due, Outcome, Trigger, Wire
from worker.webhooks.answer import Answer
from worker.webhooks.retry_after import parse_retry_after
from worker.webhooks.verdict import Policy, judge

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CENTURY, DAY = timedelta(days=36_525), timedelta(days=1)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WAITS = st.integers(0, 20 * 365 * 86_400)
SPACE = st.text(" \t", max_size=3)
FORMS = ("IMF-fixdate", "RFC 850", "asctime")


def written(at: datetime, form: str) -> str:
    """The date as that form has it; not by a library, whose idea of it may be ours."""
    day, month, clock = DAYS[at.weekday()], MONTHS[at.month - 1], f"{at.hour:02}:{at.minute:02}:{at.second:02}"
    if form == "IMF-fixdate":
        return f"{day}, {at.day:02} {month} {at.year} {clock} GMT"
    if form == "RFC 850":
        return f"{LONG_DAYS[at.weekday()]}, {at.day:02}-{month}-{at.year % 100:02} {clock} GMT"
    return f"{day} {month} {at.day:2} {clock} {at.year}"


@given(WAITS, st.sampled_from(FORMS), SPACE, SPACE)
def test_a_date_in_any_of_the_three_forms_is_the_wait_until_then(wait: int, form: str, before: str, after: str) -> None:
    text = before + written(NOW + timedelta(seconds=wait), form) + after + "\r\n"
    assert parse_retry_after(text, NOW) == timedelta(seconds=wait)


@given(st.integers(1, 20 * 365 * 86_400), st.sampled_from(FORMS))
def test_a_date_that_has_passed_says_nothing(ago: int, form: str) -> None:
    assert parse_retry_after(written(NOW - timedelta(seconds=ago), form), NOW) is None


@given(st.integers(0, 10**30), st.integers(0, 5), SPACE, SPACE)
def test_seconds_are_a_wait_however_many(seconds: int, zeros: int, before: str, after: str) -> None:
    text = f"{before}{'0' * zeros}{seconds}{after}"
    assert parse_retry_after(text, NOW) == min(timedelta(seconds=min(seconds, 10**10)), CENTURY)


@given(
    st.integers(1, 10**12),
    st.sampled_from(["-{}", "+{}", "{}.0", "{}.5", "{}s", "0x{}", "{}e1", "{} {}", "{},{}", "{};q=1"]),
)
def test_what_is_not_digits_alone_is_no_number(number: int, form: str) -> None:
    wait = parse_retry_after(form.format(number, number), NOW)
    assert wait is None


@given(st.text(st.characters(categories=["Nd", "Nl", "No"], exclude_characters="0123456789"), min_size=1, max_size=9))
def test_digits_of_other_scripts_are_none(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


@given(st.text() | st.text("0123456789:, GMTSunJanFeb-+", max_size=40))
@example("Sat, 31 Dec 9999 23:59:59 -2359")
@example("Sat, 01 Jan 0001 00:00:00 +2359")
@example("Sat, 21 Nov 2026 12:05:00 +9999")
@example("Sat, 21 Nov 2026 25:05:00 GMT")
def test_no_text_is_an_error_nor_a_wait_that_is_none(text: str) -> None:
    wait = parse_retry_after(text, NOW)
    assert wait is None or timedelta(0) <= wait <= CENTURY


@given(st.binary(max_size=60))
def test_no_bytes_of_a_header_end_the_request(value: bytes) -> None:
    answer = Answer((), lambda: NOW)
    assert answer.header(b"HTTP/1.1 503 Busy\r\n") is None
    assert answer.header(b"Retry-After: " + value + b"\r\n") is None
    assert answer.failure is None


@given(
    st.text(st.characters(codec="latin-1"), max_size=40)
    | WAITS.map(str)
    | WAITS.map(lambda wait: written(NOW + timedelta(seconds=wait), "IMF-fixdate"))
)
def test_whatever_is_asked_for_the_wait_is_a_day_at_most_and_the_schedules_at_least(text: str) -> None:
    asked = parse_retry_after(text, NOW)
    verdict = judge(_busy(asked), _due(), Policy((timedelta(seconds=5),)), NOW, Random(1))
    assert verdict.next_attempt_at is not None
    assert verdict.slow_until is not None
    assert NOW + timedelta(seconds=5) <= verdict.next_attempt_at <= NOW + max(asked or DAY, timedelta(seconds=6), DAY)
    assert NOW <= verdict.slow_until <= NOW + DAY
    assume(asked is not None and asked <= DAY)
    assert verdict.slow_until == NOW + (asked or timedelta(0))


@pytest.mark.parametrize("form", FORMS)
def test_a_date_is_read_by_the_clock_that_is_passed(form: str) -> None:
    later = NOW + timedelta(minutes=3)
    assert parse_retry_after(written(NOW + timedelta(minutes=5), form), later) == timedelta(minutes=2)


def _busy(retry_after: timedelta | None) -> Outcome:
    return Outcome(
        wire=Wire.ANSWERED, started_at=NOW, answered_at=NOW, duration=timedelta(0), status_code=503,
        retry_after=retry_after,
    )  # fmt: skip


def _due() -> Due:
    return Due(
        delivery_id=1, message_id="msg_1", endpoint="erp", body=b"{}", attempt=1, round=1, trigger=Trigger.FIRST,
        slowed=0, claim_token="t", claimed_until=NOW + timedelta(hours=1), source=None, notification_id=None,
        made_at=NOW,
    )  # fmt: skip
