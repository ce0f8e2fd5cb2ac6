"""One suite for every provider: reading to the end, whatever happens meanwhile (POLLING, sections 1 to 3)."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from tests.providers.cases import CASES
from tests.providers.stage import Stage, by_position, every_mood, every_provider, ids, notifications, read, whole
from worker.progress import Checkpoint, begin
from worker.provider import Order
from worker.providers import PROVIDERS
from worker.sandbox.wire import Request

# The declaration


def test_every_provider_has_a_case_here() -> None:
    assert set(CASES) == set(PROVIDERS)


@every_provider
def test_a_provider_goes_by_its_own_slug(slug: str) -> None:
    assert PROVIDERS[slug].slug == slug


@every_provider
def test_rows_come_in_the_order_that_the_contract_names(stage: Stage) -> None:
    stage.grow(7)
    provider = stage.provider(page_size=3)
    times = [found.occurred_at for found in notifications(provider, read(provider), stage.clock)]
    distinct = list(dict.fromkeys(times))
    ascending = sorted(at for at in distinct if at)
    expected = {Order.OLDEST_FIRST: ascending, Order.NEWEST_FIRST: ascending[::-1], Order.UNKNOWN: distinct}
    assert distinct == expected[stage.contract.order]


# Reading to the end


@every_provider
@pytest.mark.parametrize(("rows", "size"), [(1, 1), (2, 1), (5, 1), (3, 2), (4, 4), (8, 4), (11, 4), (30, 100)])
def test_everything_is_read_to_the_end(stage: Stage, rows: int, size: int) -> None:
    stage.grow(rows)
    provider = stage.provider(page_size=size)
    pages = read(provider)
    assert ids(provider, pages, stage.clock) == stage.visible()
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]


@every_provider
@pytest.mark.parametrize("cap", [1, 2, 7])
def test_a_server_that_caps_its_pages_is_read_to_the_end(stage: Stage, cap: int) -> None:
    stage.grow(15)
    stage.api.faults.cap(cap)
    provider = stage.provider()
    assert ids(provider, read(provider), stage.clock) == stage.visible()


@every_provider
def test_a_server_that_caps_its_pages_all_of_a_sudden_is_read_to_the_end(stage: Stage) -> None:
    stage.grow(25)
    before = len(stage.api.requests)

    def cap(_: Request) -> None:
        stage.api.faults.cap(4 if len(stage.api.requests) - before > 2 else None)

    stage.api.meanwhile = cap
    provider = stage.provider(page_size=6)
    assert ids(provider, read(provider), stage.clock) == stage.visible()


@every_provider
def test_rows_of_the_same_instant_are_all_read(stage: Stage) -> None:
    stage.grow(12, spacing=timedelta())
    provider = stage.provider(page_size=5)
    assert ids(provider, read(provider), stage.clock) == stage.visible()


@every_mood
def test_an_empty_answer_is_one_empty_last_page(stage: Stage, mood: int) -> None:
    stage.case.moods[mood](stage.sandbox)
    (page,) = read(stage.provider())
    assert (list(page.items), page.last, page.repairs) == ([], True, 0)


@every_provider
def test_a_single_page_costs_few_requests(stage: Stage) -> None:
    stage.grow(5)
    provider = stage.provider(page_size=100)
    read(provider)
    before = len(stage.api.requests)
    read(provider)
    assert len(stage.api.requests) - before <= 2


@every_provider
def test_the_servers_clock_is_read(stage: Stage) -> None:
    stage.grow(1)
    assert read(stage.provider())[0].server_date == stage.clock.at.replace(microsecond=0)


# Rows that come and go while we read


@every_provider
@pytest.mark.parametrize("seed", range(8))
def test_rows_that_vanish_while_paging_take_no_other_with_them(stage: Stage, seed: int) -> None:
    stage.grow(30)
    random = Random(seed)
    provider = stage.provider(page_size=random.choice([1, 2, 4, 7]))

    def vanish(_: Request) -> None:
        rows = stage.api.ledger.visible()
        for row in random.sample(rows, random.choice([0, 0, 1, 3]) if len(rows) > 12 else 0):
            stage.api.ledger.withdraw(row.external_id)

    stage.api.meanwhile = vanish
    found = ids(provider, read(provider), stage.clock)
    assert stage.visible() - found == set()


@by_position
def test_a_row_that_vanished_above_is_counted_as_a_repair(stage: Stage) -> None:
    stage.grow(12)
    provider = stage.provider(page_size=4)
    pages = provider.pages(whole(stage))
    first = next(pages)
    for item in first.items[:2]:
        stage.api.ledger.withdraw(provider.normalise(item, stage.clock.at).external_id)
    rest = list(pages)
    assert stage.visible() <= ids(provider, [first, *rest], stage.clock)
    assert sum(page.repairs for page in rest) >= 1


@every_provider
@pytest.mark.parametrize("seed", range(6))
def test_rows_that_are_inserted_while_paging_hide_no_other(stage: Stage, seed: int) -> None:
    stage.grow(20)
    before = stage.visible()
    random = Random(seed)
    provider = stage.provider(page_size=random.choice([2, 4, 7]))

    def insert(_: Request) -> None:
        if len(stage.visible()) < 40:
            stage.grow(random.choice([0, 1, 2]))

    stage.api.meanwhile = insert
    assert before - ids(provider, read(provider), stage.clock) == set()


# The window


@every_mood
@pytest.mark.parametrize("spacing", [timedelta(seconds=1), timedelta(milliseconds=1), timedelta(minutes=1)])
def test_a_row_exactly_on_a_bound_of_the_window_is_not_lost(stage: Stage, mood: int, spacing: timedelta) -> None:
    stage.case.moods[mood](stage.sandbox)
    rows = stage.grow(9, spacing)
    provider = stage.provider(page_size=4)
    high_water = provider.normalise(rows[3].raw, stage.clock.at).occurred_at
    step = begin(stage.contract, Checkpoint(high_water=high_water), None, timedelta(), rows[6].occurred_at)
    found = ids(provider, read(provider, step.window), stage.clock)
    assert {row.external_id for row in rows[3:7]} <= found


@every_provider
def test_what_the_contract_says_can_be_filtered_is_filtered(stage: Stage) -> None:
    rows = stage.grow(9)
    provider = stage.provider()
    step = begin(stage.contract, Checkpoint(high_water=rows[3].occurred_at), None, timedelta(), rows[6].occurred_at)
    window = replace(step.window, end=rows[6].occurred_at if stage.contract.filters_to else None)
    found = ids(provider, read(provider, window), stage.clock)
    unwanted = (rows[:3] if stage.contract.filters_from else []) + (rows[7:] if stage.contract.filters_to else [])
    assert not found & {row.external_id for row in unwanted}
