"""Whatever happens to what is open, it is seen in time, told once, and withdrawn only if it is gone (POLLING, 4)."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.tormentor.api import Lost
from tests.tormentor.following import (
    FOLLOWED,
    Step,
    Story,
    Weaken,
    followed,
    looked_at_late,
    missed_before,
    never_followed,
    stories,
)
from worker.provider import Contract

SHARE = 10
"""One story in so many runs: a story takes a real database some hundred times as long."""


@pytest.mark.parametrize("contract", FOLLOWED.values(), ids=FOLLOWED)
def test_every_change_of_what_is_open_is_seen_within_its_bound(
    migrated_file: Path, tmp_path: Path, contract: Contract
) -> None:
    @given(stories())
    @settings(max_examples=settings().max_examples // SHARE)
    def torment(steps: tuple[Step, ...]) -> None:
        with followed(migrated_file, tmp_path, contract) as course:
            Story(course).run(steps)

    torment()


@pytest.mark.parametrize("weaken", [looked_at_late, missed_before, never_followed], ids=lambda weaken: weaken.__name__)
def test_the_tormentor_notices_when_a_guard_of_following_is_missing(
    migrated_file: Path, tmp_path: Path, weaken: Weaken
) -> None:
    @given(stories())
    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def torment(steps: tuple[Step, ...]) -> None:
        with followed(migrated_file, tmp_path, FOLLOWED["windows (GovApp)"]) as course:
            Story(course, weaken).run(steps)

    with pytest.raises(Lost):
        torment()
