import pytest

from tests.fakes import AT
from tests.integration.store.desk import Desk
from worker.store.session import Database


@pytest.fixture
def desk(database: Database) -> Desk:
    """A desk with the source `books`, on both databases."""
    made = Desk(database, AT)
    made.source()
    return made
