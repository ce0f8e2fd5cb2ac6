from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.providers.cases import BEGIN
from tests.providers.stage import Stage
from tests.providers.theatre import Theatre
from worker.sandbox import HandClock, Sandbox


@pytest.fixture
def clock() -> HandClock:
    return HandClock(BEGIN)


@pytest.fixture
def sandbox(clock: HandClock) -> Iterator[Sandbox]:
    with Theatre(clock) as running:
        yield running


@pytest.fixture
def stage(slug: str, sandbox: Sandbox, clock: HandClock) -> Iterator[Stage]:
    with ExitStack() as closing:
        yield Stage(slug, sandbox, clock, closing)
