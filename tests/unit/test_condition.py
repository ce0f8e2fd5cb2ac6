from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.condition import GIVEN_UP_AFTER, PROBED_AFTER, Condition, Turn, after, enabled, spared, turns
from worker.delivery import Attempted, DeliveryStatus, Due, Outcome, Trigger, Wire
from worker.webhooks.verdict import Policy, judge

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
POLICY = Policy((5 * SECOND, 5 * MINUTE))
PROBED = Condition(failures=7, failing_since=NOW - MINUTE, probe_at=NOW, reason="answered 500")


def due(*, probe: bool = False, trigger: Trigger = Trigger.FIRST, number: int = 1, slowed: int = 0) -> Due:
    return Due(
        delivery_id=1, message_id="msg_1", endpoint="erp", body=b"{}", attempt=number, round=number, trigger=trigger,
        slowed=slowed, claim_token="token", claimed_until=NOW + timedelta(hours=1), source=None, notification_id=None,
        made_at=NOW, due_at=NOW, probe=probe,
    )  # fmt: skip


def attempt(
    status: int, one: Due | None = None, now: datetime = NOW, retry_after: timedelta | None = None
) -> Attempted:
    one = one or due()
    outcome = Outcome(
        wire=Wire.ANSWERED, started_at=now - SECOND, answered_at=now, duration=SECOND, status_code=status,
        retry_after=retry_after,
    )  # fmt: skip
    return Attempted(one, outcome, judge(outcome, one, POLICY, now, Random(1)))


def failing(times: int, condition: Condition | None = None) -> Condition:
    condition = condition or Condition()
    for _ in range(times):
        condition = after(condition, attempt(500), DAY, NOW)
    return condition


def test_fewer_than_five_failures_in_a_row_are_borne() -> None:
    condition = failing(PROBED_AFTER - 1)
    assert (condition.failures, condition.probe_at, condition.failing_since) == (4, None, NOW - SECOND)
    assert condition.reason == "answered 500"


def test_after_five_failures_in_a_row_it_is_probed_five_seconds_later() -> None:
    before, now = failing(PROBED_AFTER - 1), failing(PROBED_AFTER)
    assert (now.probe_at, now.probes) == (NOW + 5 * SECOND, 0)
    assert list(turns(before, now)) == [Turn.FAILING]


def test_probes_come_at_twice_the_wait_each_time_up_to_five_minutes() -> None:
    condition, waits = failing(PROBED_AFTER), []
    for _ in range(9):
        condition = after(condition, attempt(500, due(probe=True)), None, NOW)
        assert condition.probe_at is not None
        waits.append((condition.probe_at - NOW) // SECOND)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_requests_that_were_open_when_probing_began_change_nothing_about_it() -> None:
    before = failing(PROBED_AFTER)
    condition = failing(5, before)
    assert (condition.probe_at, condition.probes, condition.failures) == (before.probe_at, 0, 10)
    assert list(turns(before, condition)) == []


@pytest.mark.parametrize("one", [due(), due(probe=True), due(trigger=Trigger.TEST)])
def test_the_first_2xx_opens_it(one: Due) -> None:
    condition = after(PROBED, attempt(204, one), DAY, NOW)
    assert condition == Condition(opening_since=NOW)
    assert list(turns(PROBED, condition)) == [Turn.RECOVERED]


def test_a_2xx_of_one_that_was_not_probed_is_no_recovery() -> None:
    before = failing(PROBED_AFTER - 1)
    condition = after(before, attempt(200), DAY, NOW)
    assert (condition, list(turns(before, condition))) == (Condition(), [])


def test_a_2xx_leaves_it_at_the_pace_at_which_it_opens() -> None:
    opened = Condition(opening_since=NOW - SECOND)
    assert after(opened, attempt(200), DAY, NOW) == opened


def test_five_failures_while_it_opens_have_it_probed_again() -> None:
    condition = failing(PROBED_AFTER, Condition(opening_since=NOW))
    assert (condition.probe_at, condition.opening_since) == (NOW + 5 * SECOND, None)


def test_a_wait_that_it_named_outlasts_the_requests_that_were_open_then() -> None:
    limited = after(Condition(), attempt(429, retry_after=MINUTE), DAY, NOW)
    assert after(limited, attempt(200), DAY, NOW).slow_until == NOW + MINUTE
    assert after(limited, attempt(200, due(trigger=Trigger.TEST)), DAY, NOW).slow_until is None
    assert after(limited, attempt(200, now=NOW + MINUTE + SECOND), DAY, NOW).slow_until is None


def test_a_wait_that_it_did_not_name_ends_with_the_first_2xx() -> None:
    slowed = after(Condition(), attempt(503), DAY, NOW)
    assert (slowed.slow_until, slowed.slowed) == (NOW + 5 * SECOND, 1)
    assert after(slowed, attempt(200), DAY, NOW) == Condition()


def test_the_later_of_both_waits_holds() -> None:
    assert Condition().shut_until is None
    assert Condition(slow_until=NOW + MINUTE, probe_at=NOW).shut_until == NOW + MINUTE
    assert Condition(slow_until=NOW, probe_at=NOW + MINUTE).shut_until == NOW + MINUTE


def test_410_disables_it_at_once() -> None:
    condition = after(Condition(), attempt(410), DAY, NOW)
    assert (condition.disabled_at, condition.reason) == (NOW, "answered 410 Gone")
    assert list(turns(Condition(), condition)) == [Turn.DISABLED]


@pytest.mark.parametrize(
    ("share", "failures", "expected"),
    [(0.49, 30, 0), (0.5, 30, 50), (0.89, 30, 50), (0.9, 30, 90), (0.99, 30, 90), (0.5, 18, 0), (0.5, 19, 50)],
)
def test_the_way_to_being_disabled_is_warned_of_with_twenty_attempts(
    share: float, failures: int, expected: int
) -> None:
    before = replace(PROBED, failures=failures, failing_since=NOW - DAY * share)
    condition = after(before, attempt(500), DAY, NOW)
    assert (condition.warned, condition.disabled_at) == (expected, None)
    assert list(turns(before, condition)) == [Turn.WARNED] * bool(expected)


def test_nothing_is_warned_of_twice() -> None:
    warned = replace(PROBED, failures=30, failing_since=NOW - DAY / 2, warned=50)
    assert list(turns(warned, after(warned, attempt(500), DAY, NOW))) == []


def test_nothing_but_failures_for_too_long_disables_it() -> None:
    before = replace(PROBED, failures=GIVEN_UP_AFTER - 1, failing_since=NOW - DAY, warned=90)
    condition = after(before, attempt(502), DAY, NOW)
    assert (condition.disabled_at, condition.probe_at, condition.opening_since) == (NOW, None, None)
    assert condition.reason == (
        "nothing but failures since 2026-11-20T12:00:00Z: 20 attempts, the last answered 502"
    )  # fmt: skip
    assert list(turns(before, condition)) == [Turn.DISABLED]


def test_too_few_attempts_disable_nothing_however_long_it_fails() -> None:
    before = replace(PROBED, failures=GIVEN_UP_AFTER - 2, failing_since=NOW - 90 * DAY)
    assert after(before, attempt(500), DAY, NOW).disabled_at is None


def test_one_that_is_never_given_up_is_neither_warned_of_nor_disabled() -> None:
    condition = after(replace(PROBED, failures=99, failing_since=NOW - 90 * DAY), attempt(500), None, NOW)
    assert (condition.warned, condition.disabled_at) == (0, None)


@pytest.mark.parametrize("status", [200, 410, 500, 503])
def test_one_that_is_disabled_stays_so_for_the_reason_it_was(status: int) -> None:
    disabled = Condition(disabled_at=NOW - DAY, reason="disabled by hand")
    condition = after(disabled, attempt(status), SECOND, NOW)
    assert (condition.disabled_at, condition.reason, condition.probe_at) == (NOW - DAY, "disabled by hand", None)
    assert list(turns(disabled, condition)) == []


def test_one_that_is_enabled_opens_slowly_if_it_was_probed() -> None:
    assert enabled(Condition(disabled_at=NOW, failures=PROBED_AFTER), NOW) == Condition(opening_since=NOW)
    assert enabled(Condition(disabled_at=NOW, failures=PROBED_AFTER - 1), NOW) == Condition()


def test_one_that_is_enabled_while_it_opens_goes_on_at_the_pace_that_it_has_come_to() -> None:
    opening = Condition(opening_since=NOW - SECOND)
    assert enabled(opening, NOW) == opening
    assert enabled(Condition(slow_until=NOW + DAY, opening_since=NOW + DAY), NOW) == Condition(opening_since=NOW)


def test_one_that_asks_to_be_left_alone_while_it_opens_begins_anew_after_that() -> None:
    busy = after(Condition(opening_since=NOW - MINUTE), attempt(429, retry_after=MINUTE), DAY, NOW)
    assert (busy.slow_until, busy.opening_since) == (NOW + MINUTE, NOW + MINUTE)


def test_a_test_by_hand_that_fails_is_none_of_its_failures_but_its_word_is_heard() -> None:
    before = failing(PROBED_AFTER - 1)
    by_hand = due(trigger=Trigger.TEST)
    assert after(before, attempt(500, by_hand), DAY, NOW) == before
    assert after(before, attempt(503, by_hand), DAY, NOW).slow_until == NOW + 5 * SECOND
    assert after(before, attempt(410, by_hand), DAY, NOW).reason == "answered 410 Gone"


def test_a_due_probe_with_all_that_there_is_counts_as_any_retry() -> None:
    asked = replace(due(probe=True), due_at=NOW - SECOND)
    one = attempt(500, asked)
    assert spared(PROBED, one, NOW, alone=True) == one
    early = attempt(500, replace(asked, due_at=NOW + SECOND))
    assert not spared(PROBED, early, NOW, alone=True).verdict.counts
    left_over = attempt(500, replace(asked, probe=False))
    assert not spared(PROBED, left_over, NOW, alone=True).verdict.counts


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("probe", [True, False])
def test_what_fails_while_it_is_probed_counts_for_nothing_and_waits_on(number: int, *, probe: bool) -> None:
    one = spared(PROBED, attempt(500, due(probe=probe, number=number)), NOW)
    assert (one.verdict.status, one.verdict.next_attempt_at) == (DeliveryStatus.PENDING, NOW)
    assert not one.verdict.counts


def test_a_probe_that_was_not_due_yet_keeps_its_time() -> None:
    early = replace(due(probe=True), due_at=NOW + DAY)
    assert spared(PROBED, attempt(500, early), NOW).verdict.next_attempt_at == NOW + DAY


@pytest.mark.parametrize(
    ("condition", "one"),
    [
        (Condition(failures=4), attempt(500)),
        (PROBED, attempt(200)),
        (PROBED, attempt(410)),
        (PROBED, attempt(500, due(trigger=Trigger.TEST))),
    ],
)
def test_anything_else_counts(condition: Condition, one: Attempted) -> None:
    assert spared(condition, one, NOW) == one


INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 11, 21, 11), timezones=st.just(UTC))  # noqa: DTZ001
ATTEMPTS = st.builds(
    attempt,
    st.integers(100, 599),
    st.builds(due, probe=st.booleans(), trigger=st.sampled_from(Trigger), number=st.integers(1, 5)),
    st.just(NOW),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=400)),
)
CONDITIONS = st.builds(
    Condition,
    failures=st.integers(0, 2000),
    failing_since=st.none() | INSTANTS,
    slow_until=st.none() | INSTANTS,
    slowed=st.integers(0, 40),
    probe_at=st.none() | INSTANTS,
    probes=st.integers(0, 2000),
    opening_since=st.none() | INSTANTS,
    warned=st.sampled_from([0, 50, 90]),
    disabled_at=st.none() | INSTANTS,
    reason=st.none() | st.just("answered 500"),
)
PATIENCE = st.none() | st.timedeltas(SECOND, 365 * DAY)


@given(CONDITIONS, ATTEMPTS, PATIENCE)
def test_a_2xx_resets_all_and_a_failure_only_adds(condition: Condition, one: Attempted, patience: timedelta) -> None:
    now = after(condition, one, patience, NOW)
    if one.verdict.status is DeliveryStatus.DELIVERED:
        assert (now.failures, now.failing_since, now.slowed, now.probe_at, now.probes, now.warned) == (
            0, None, 0, None, 0, 0,
        )  # fmt: skip
    else:
        by_hand = one.due.trigger is Trigger.TEST
        assert now.failures == condition.failures + (not by_hand)
        assert by_hand or now.failing_since is not None
        assert (now.slowed, now.warned) >= (condition.slowed, condition.warned)


@given(CONDITIONS, ATTEMPTS, PATIENCE)
def test_no_wait_is_negative_nor_a_probe_further_off_than_five_minutes(
    condition: Condition, one: Attempted, patience: timedelta
) -> None:
    now = after(condition, one, patience, NOW)
    if now.probe_at and now.probe_at != condition.probe_at:
        assert 5 * SECOND <= now.probe_at - NOW <= 5 * MINUTE
    if now.slow_until and now.slow_until != condition.slow_until:
        assert timedelta() <= now.slow_until - NOW <= DAY
    assert now.probe_at is None or now.opening_since is None or condition.opening_since is not None


@given(CONDITIONS, ATTEMPTS, PATIENCE)
def test_what_was_disabled_stays_disabled_and_each_turn_is_told_once(
    condition: Condition, one: Attempted, patience: timedelta
) -> None:
    now = after(condition, one, patience, NOW)
    assert condition.disabled_at is None or now.disabled_at == condition.disabled_at
    told = list(turns(condition, now))
    assert len(told) == len(set(told))
    assert list(turns(now, now)) == []


@given(CONDITIONS, ATTEMPTS)
def test_what_is_spared_stays_pending_and_is_never_due_in_the_past(condition: Condition, one: Attempted) -> None:
    counted = spared(condition, one, NOW)
    assert (counted.due, counted.outcome) == (one.due, one.outcome)
    if not counted.verdict.counts:
        assert counted.verdict.status is DeliveryStatus.PENDING
        assert counted.verdict.next_attempt_at is not None
        assert counted.verdict.next_attempt_at >= NOW
        assert counted.verdict.slow_until == one.verdict.slow_until
