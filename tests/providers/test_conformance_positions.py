"""One suite for every provider that is read on from an id: what is kept, and what is read again (POLLING, 2)."""

from datetime import timedelta

import pytest

from tests.providers.stage import SLUGS, Stage, ids, read
from worker.provider import Window
from worker.providers import PROVIDERS

from_ids = pytest.mark.parametrize("slug", [slug for slug in SLUGS if PROVIDERS[slug].contract.from_id])
without_ids = pytest.mark.parametrize("slug", [slug for slug in SLUGS if not PROVIDERS[slug].contract.from_id])


def kept(stage: Stage, window: Window | None = None, page_size: int = 3) -> str | None:
    """The position after a pass."""
    positions = [page.newest_id for page in read(stage.provider(page_size=page_size), window) if page.newest_id]
    return positions[-1] if positions else None


@from_ids
def test_a_pass_begins_where_the_last_one_ended_less_the_overlap(stage: Stage) -> None:
    rows = stage.grow(30)
    position = kept(stage)
    new = stage.grow(5)
    provider = stage.provider(page_size=4)
    found = ids(provider, read(provider, Window(after_id=position)), stage.clock)
    assert {row.external_id for row in new} <= found
    assert not found & {row.external_id for row in rows[:15]}


@from_ids
def test_a_row_that_is_shown_late_is_read_by_a_later_pass(stage: Stage) -> None:
    stage.grow(20)
    (late,) = stage.sandbox.publish(1, stage.slug, timedelta(minutes=5))
    stage.clock.turn(timedelta(minutes=1))
    stage.grow(2)
    position = kept(stage)
    stage.clock.turn(timedelta(minutes=5))
    provider = stage.provider(page_size=4)
    assert late.external_id in ids(provider, read(provider, Window(after_id=position)), stage.clock)


@from_ids
def test_a_position_never_falls_nor_is_lost_where_nothing_is_new(stage: Stage) -> None:
    stage.grow(30)
    position = kept(stage)
    assert position is not None
    assert kept(stage, Window(after_id=position)) == position


@from_ids
def test_every_row_is_read_once_all_passes_are_taken_together(stage: Stage) -> None:
    provider = stage.provider(page_size=3)
    found: set[str] = set()
    position = None
    for _ in range(6):
        stage.grow(7, spacing=timedelta(minutes=3))
        pages = read(provider, Window(after_id=position))
        position = next((page.newest_id for page in reversed(pages) if page.newest_id), position)
        found |= ids(provider, pages, stage.clock)
    assert found == stage.visible()


@without_ids
def test_a_provider_that_is_not_read_from_ids_keeps_none(stage: Stage) -> None:
    stage.grow(5)
    assert kept(stage) is None
