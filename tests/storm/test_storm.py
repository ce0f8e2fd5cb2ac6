"""A short storm (`make storm` has long ones): whatever strikes, everything arrives, in order, and little of it twice.

TOCSIN_SEED=7 pytest tests/storm/test_storm.py has the storm of that seed again.
"""

import os
from pathlib import Path
from secrets import randbelow

import pytest

from tests.storm.plan import Weather
from tests.storm.storm import storm

_SHORT = Weather(seconds=14.0, lease_s=3.5, orderly=False)


@pytest.mark.alone
def test_in_a_storm_nothing_is_lost_nor_disordered_nor_sent_again_once_it_was_recorded(tmp_path: Path) -> None:
    seed = int(os.environ.get("TOCSIN_SEED") or randbelow(1_000_000))

    came = storm(seed, _SHORT, tmp_path)

    print(came)  # noqa: T201  # pytest shows it when the test fails: the seed has the storm again
    assert [] == came.found
    assert came.figures.deliveries > 0
