import pytest

from tests.fakes import AT, FakeClock
from tests.integration.store.desk import Desk
from worker.store.session import Database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(database: Database) -> Desk:
    """The source `books` and the endpoints `erp` and `crm`."""
    opened = Desk(database, AT)
    opened.source()
    opened.endpoint("erp")
    opened.endpoint("crm")
    return opened
