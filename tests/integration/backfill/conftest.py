import pytest

from tests.fakes import AT, FakeClock
from tests.integration.backfill.shelf import Reader
from tests.integration.store.desk import Desk
from worker.store.session import Database


@pytest.fixture
def reader(database: Database) -> Reader:
    """The source `books`, known since now, and the endpoint `erp`."""
    desk = Desk(database, AT)
    desk.source(start_at=AT)
    desk.endpoint("erp")
    return Reader(desk, FakeClock())
