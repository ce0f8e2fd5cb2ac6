import pytest

from tests.fakes import AT, FakeClock
from tests.integration.store.desk import Desk
from tests.integration.telling.stand import Stand
from worker.interest import Interest
from worker.store.session import Database


@pytest.fixture
def stand(database: Database) -> Stand:
    """The source `books`, whose operational messages `ops` wants and `erp` does not."""
    desk = Desk(database, AT)
    desk.source()
    for name in ("erp", "ops"):
        desk.endpoint(name)
    return Stand(desk, FakeClock(), [Interest("erp"), Interest("ops", types=("source.*",))])
