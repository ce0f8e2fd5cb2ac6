"""Whatever an API does between two requests, nothing that it showed is lost, and nothing is told twice (POLLING).

One hundred runs a contract, and a thousand with HYPOTHESIS_PROFILE=nightly.
"""

import pytest
from hypothesis import given, settings

from tests.tormentor.course import Course, Machine
from tests.tormentor.shape import CONTRACTS, Scenario, scenarios
from worker.provider import Contract, Order, Paging


def test_there_are_two_thousand_runs() -> None:
    assert len(CONTRACTS) * settings().max_examples >= 2000


def test_every_paging_kind_and_every_order_is_tormented() -> None:
    assert {contract.paging for contract in CONTRACTS.values()} == set(Paging)
    assert {contract.order for contract in CONTRACTS.values()} == set(Order)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_no_torment_makes_us_lose_a_row_or_tell_one_twice(contract: Contract) -> None:
    @given(scenarios(contract))
    def torment(scenario: Scenario) -> None:
        Course(Machine(), scenario).run()

    torment()
