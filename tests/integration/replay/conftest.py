import pytest

from tests.fakes import AT
from tests.integration.replay.desk import Past
from tests.integration.store.desk import Desk
from worker.store.session import Database


@pytest.fixture
def past(database: Database) -> Past:
    """The source `books` and the endpoint `erp`, and nothing told yet, on both databases."""
    made = Desk(database, AT)
    made.source()
    made.endpoint("erp")
    return Past(made)
