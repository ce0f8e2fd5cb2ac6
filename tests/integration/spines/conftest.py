from random import Random

import pytest

from tests.fakes import AT, FakeClock
from tests.integration.spines.line import Line
from tests.integration.store.desk import Desk
from worker.store.session import Database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def line(database: Database, clock: FakeClock) -> Line:
    """The source `books` and the endpoint `erp`, ready to be polled and delivered."""
    desk = Desk(database, AT)
    desk.source()
    desk.endpoint("erp")
    return Line(desk, clock, Random(3))
