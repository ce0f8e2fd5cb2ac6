from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.backoff import doubled, full_jitter, lengthened

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
DICE = st.integers(0, 10_000).map(Random)


@given(st.integers(1, 100_000), DICE)
def test_a_wait_is_random_within_a_bound_that_doubles(failures: int, random: Random) -> None:
    bound = min(SECOND * 2 ** min(failures - 1, 20), HOUR)
    assert bound / 10 <= full_jitter(failures, SECOND, HOUR, random) <= bound


def test_waits_differ() -> None:
    random = Random(1)
    assert len({full_jitter(5, SECOND, HOUR, random) for _ in range(50)}) == 50


@given(st.timedeltas(timedelta(), timedelta(days=30)), DICE)
def test_a_lengthened_wait_is_never_shorter(wait: timedelta, random: Random) -> None:
    assert wait <= lengthened(wait, random) <= wait * 1.2 + timedelta(microseconds=1)


@pytest.mark.parametrize(("times", "seconds"), [(0, 5), (1, 10), (2, 20), (5, 160), (6, 300), (10_000, 300)])
def test_a_doubled_wait_has_a_ceiling(times: int, seconds: int) -> None:
    assert doubled(times, 5 * SECOND, 300 * SECOND) == seconds * SECOND
