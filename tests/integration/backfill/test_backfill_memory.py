import os
from pathlib import Path

import pytest

from benchmarks.backfill import Measured, measure

ROWS = 1_000_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 10_000


@pytest.fixture
def measured(database_url: str, tmp_path: Path) -> Measured:
    """A backfill of real processes, three of them ended by kill -9; every night with a million rows."""
    return measure(ROWS, database_url, tmp_path)


def test_killed_three_times_it_is_complete_in_bounded_memory_and_reads_no_finished_window_again(
    measured: Measured,
) -> None:
    assert (measured.stored, measured.kills, measured.again) == (ROWS, 3, 0)
    assert measured.finished > 5
    assert 0 < measured.peak_mb < 300
    assert measured.last_line.endswith("stored only")
