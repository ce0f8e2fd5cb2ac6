from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.delivery import DeliveryStatus, Due, Outcome, Trigger, Verdict, Wire
from worker.webhooks.verdict import Meaning, Policy, judge, meaning_of

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
ANSWERED_AT = NOW - timedelta(milliseconds=5)
SCHEDULE = (timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30))
POLICY = Policy(SCHEDULE)
DAY = timedelta(hours=24)
SLOWING = [429, 502, 503, 504]
ROUNDS = st.integers(min_value=1, max_value=6)
OUTCOMES = st.builds(
    Outcome,
    wire=st.sampled_from(Wire),
    started_at=st.just(NOW),
    answered_at=st.just(NOW),
    duration=st.just(timedelta(0)),
    status_code=st.none() | st.integers(min_value=100, max_value=999),
    retry_after=st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_525)),
)
FAILED = OUTCOMES.filter(lambda outcome: meaning_of(outcome) in {Meaning.NOT_TAKEN, Meaning.SLOW_DOWN})


class NoJitter(Random):
    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002  # Random's signature
        return a


def due(number: int = 1, trigger: Trigger = Trigger.FIRST, slowed: int = 0) -> Due:
    return Due(
        delivery_id=1,
        message_id="msg_1",
        endpoint="erp",
        body=b"{}",
        attempt=number,
        round=number,
        trigger=trigger,
        slowed=slowed,
        claim_token="token",
        claimed_until=NOW + timedelta(hours=1),
        source=None,
        notification_id=None,
        made_at=NOW,
    )


def answered(status: int | None, retry_after: timedelta | None = None, wire: Wire = Wire.ANSWERED) -> Outcome:
    return Outcome(
        wire=wire,
        started_at=NOW - timedelta(milliseconds=20),
        answered_at=ANSWERED_AT,
        duration=timedelta(milliseconds=20),
        status_code=status,
        retry_after=retry_after,
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_delivered_when_its_status_arrived(status: int) -> None:
    expected = Verdict(status=DeliveryStatus.DELIVERED, delivered_at=ANSWERED_AT)
    assert judge(answered(status), due(), POLICY, NOW, Random()) == expected


@pytest.mark.parametrize("status", [None, 100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 411, 428, 430, 500])
def test_any_other_status_is_a_failed_attempt(status: int | None) -> None:
    expected = Verdict(status=DeliveryStatus.PENDING, next_attempt_at=NOW + SCHEDULE[0])
    assert judge(answered(status), due(), POLICY, NOW, NoJitter()) == expected


@pytest.mark.parametrize("status", [501, 505, 599, 600, 999])
def test_other_server_errors_are_failed_attempts_too(status: int) -> None:
    assert meaning_of(answered(status)) is Meaning.NOT_TAKEN


@pytest.mark.parametrize("wire", [wire for wire in Wire if wire is not Wire.ANSWERED])
@pytest.mark.parametrize("status", [None, 200, 410, 503])
def test_no_complete_answer_is_a_failed_attempt_whatever_its_status(wire: Wire, status: int | None) -> None:
    expected = Verdict(status=DeliveryStatus.PENDING, next_attempt_at=NOW + SCHEDULE[0])
    assert judge(answered(status, wire=wire), due(), POLICY, NOW, NoJitter()) == expected


def test_410_disables_the_endpoint_and_its_delivery_waits_where_it_is() -> None:
    gone = "answered 410 Gone"
    expected = Verdict(status=DeliveryStatus.PENDING, next_attempt_at=NOW, disable_reason=gone, counts=False)
    assert judge(answered(410), due(), POLICY, NOW, Random()) == expected


def test_410_exhausts_nothing_even_on_the_last_attempt() -> None:
    verdict = judge(answered(410), due(len(SCHEDULE) + 1), POLICY, NOW, Random())
    assert verdict.status is DeliveryStatus.PENDING


@pytest.mark.parametrize("status", SLOWING)
def test_retry_after_slows_the_endpoint_and_lengthens_the_wait(status: int) -> None:
    until = NOW + timedelta(hours=1)
    expected = Verdict(status=DeliveryStatus.PENDING, next_attempt_at=until, slow_until=until)
    assert judge(answered(status, timedelta(hours=1)), due(), POLICY, NOW, NoJitter()) == expected


@pytest.mark.parametrize("status", SLOWING)
def test_retry_after_never_shortens_the_schedules_wait(status: int) -> None:
    verdict = judge(answered(status, timedelta(seconds=1)), due(2), POLICY, NOW, NoJitter())
    assert verdict.next_attempt_at == NOW + SCHEDULE[1]
    assert verdict.slow_until == NOW + timedelta(seconds=1)


def test_retry_after_is_honoured_for_a_day_at_most() -> None:
    verdict = judge(answered(429, timedelta(days=30)), due(), POLICY, NOW, NoJitter())
    assert [verdict.slow_until, verdict.next_attempt_at] == [NOW + DAY, NOW + DAY]


@pytest.mark.parametrize("status", [400, 500])
def test_retry_after_means_nothing_on_other_statuses(status: int) -> None:
    verdict = judge(answered(status, timedelta(hours=1)), due(), POLICY, NOW, NoJitter())
    assert verdict == Verdict(status=DeliveryStatus.PENDING, next_attempt_at=NOW + SCHEDULE[0])


@pytest.mark.parametrize(
    ("slowed", "seconds"), [(0, 5), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (1000, 300)]
)
@pytest.mark.parametrize("status", SLOWING)
def test_without_retry_after_the_endpoint_waits_five_seconds_doubling_to_five_minutes(
    status: int, slowed: int, seconds: int
) -> None:
    verdict = judge(answered(status), due(slowed=slowed), POLICY, NOW, NoJitter())
    assert verdict.slow_until == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("status", SLOWING)
def test_the_last_attempt_may_still_slow_the_endpoint(status: int) -> None:
    expected = Verdict(status=DeliveryStatus.EXHAUSTED, slow_until=NOW + timedelta(minutes=1))
    assert judge(answered(status, timedelta(minutes=1)), due(4), POLICY, NOW, Random()) == expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (answered(500), Verdict(status=DeliveryStatus.EXHAUSTED)),
        (answered(None, wire=Wire.BLOCKED), Verdict(status=DeliveryStatus.EXHAUSTED)),
        (answered(503), Verdict(status=DeliveryStatus.EXHAUSTED, slow_until=NOW + timedelta(seconds=5))),
        (answered(410), Verdict(status=DeliveryStatus.EXHAUSTED, disable_reason="answered 410 Gone")),
        (answered(204), Verdict(status=DeliveryStatus.DELIVERED, delivered_at=ANSWERED_AT)),
    ],
)
def test_a_test_is_never_retried(outcome: Outcome, expected: Verdict) -> None:
    assert judge(outcome, due(trigger=Trigger.TEST), POLICY, NOW, Random()) == expected


def test_an_empty_schedule_allows_one_attempt() -> None:
    assert judge(answered(500), due(), Policy(()), NOW, Random()).status is DeliveryStatus.EXHAUSTED


@given(outcome=FAILED, number=ROUNDS)
def test_it_is_exhausted_exactly_after_one_attempt_more_than_there_are_waits(outcome: Outcome, number: int) -> None:
    expected = DeliveryStatus.EXHAUSTED if number > len(SCHEDULE) else DeliveryStatus.PENDING
    assert judge(outcome, due(number), POLICY, NOW, Random()).status is expected


@given(
    outcome=FAILED,
    schedule=st.lists(st.timedeltas(timedelta(0), timedelta(days=90)), min_size=1, max_size=9).map(tuple),
    data=st.data(),
    random=st.randoms(use_true_random=False),
)
def test_the_wait_is_the_schedules_or_a_day_and_a_fifth_more_at_most(
    outcome: Outcome, schedule: tuple[timedelta, ...], data: st.DataObject, random: Random
) -> None:
    number = data.draw(st.integers(1, len(schedule)))
    at = judge(outcome, due(number), Policy(schedule), NOW, random).next_attempt_at
    assert at is not None
    assert schedule[number - 1] <= at - NOW <= max(schedule[number - 1], DAY) * 1.2


@given(outcome=OUTCOMES, number=st.integers(0, 100), slowed=st.integers(0, 10**6), trigger=st.sampled_from(Trigger))
def test_every_outcome_has_a_verdict(outcome: Outcome, number: int, slowed: int, trigger: Trigger) -> None:
    verdict = judge(outcome, due(number, trigger, slowed), POLICY, NOW, Random())
    assert (verdict.delivered_at is not None) == (verdict.status is DeliveryStatus.DELIVERED)
    assert (verdict.next_attempt_at is not None) == (verdict.status is DeliveryStatus.PENDING)
    assert verdict.slow_until is None or NOW <= verdict.slow_until <= NOW + DAY


@given(outcome=OUTCOMES, number=st.integers(0, 100), slowed=st.integers(0, 10**6), probe=st.booleans())
def test_no_wait_is_negative_and_a_later_round_never_waits_less(
    outcome: Outcome, number: int, slowed: int, *, probe: bool
) -> None:
    one = replace(due(number, slowed=slowed), probe=probe)
    verdict = judge(outcome, one, POLICY, NOW, NoJitter())
    later = judge(outcome, replace(one, round=number + 1), POLICY, NOW, NoJitter())
    assert verdict.counts == (meaning_of(outcome) is not Meaning.GONE)
    assert verdict.next_attempt_at is None or verdict.next_attempt_at >= NOW
    if verdict.next_attempt_at and later.next_attempt_at:
        assert later.next_attempt_at >= verdict.next_attempt_at
    if verdict.slow_until and verdict.next_attempt_at:
        assert verdict.next_attempt_at >= verdict.slow_until
