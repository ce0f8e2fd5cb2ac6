"""Trouble with the database is no fault of the items that were to be stored: none is rejected for it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from string import ascii_letters

import pytest
from sqlalchemy import text

from tests.fakes import AT, item
from tests.integration.store.desk import Desk
from tests.servers import wait_until
from worker.store import schema
from worker.store.session import PASSING, Database, reason
from worker.store.tables import NotificationRow


@pytest.fixture
def url(postgres_url: str) -> str:
    with closing(Database(postgres_url)) as database:
        schema.migrate(database)
    return postgres_url


@pytest.mark.parametrize("count", [1, 5])
def test_an_item_that_is_locked_for_too_long_is_not_rejected(url: str, count: int) -> None:
    impatient = f"{url}?options=-c%20lock_timeout%3D50ms"
    with closing(Database(impatient)) as database, closing(Database(url)) as another:
        desk = Desk(database, AT)
        desk.source()
        desk.store(*(item(f"n{number}") for number in range(count)))
        with another.transaction() as holding:
            holding.execute(text("SELECT id FROM notification FOR UPDATE"))
            with pytest.raises(PASSING) as waited:
                desk.store(*(item(f"n{number}", "read") for number in range(count)))
        assert "canceling statement due to lock timeout" == reason(waited.value)
        desk.store(*(item(f"n{number}", "read") for number in range(count)))
        assert {"read"} == {row.status for row in desk.rows(NotificationRow)}


def test_a_connection_that_is_cut_while_a_page_is_stored_is_said_as_such(url: str) -> None:
    cut = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with closing(Database(url)) as database, closing(Database(url)) as another, ThreadPoolExecutor(1) as threads:
        desk = Desk(database, AT)
        desk.source()
        desk.store(item("n1"))
        with another.transaction() as holding:
            holding.execute(text("SELECT id FROM notification FOR UPDATE"))
            storing = threads.submit(desk.store, item("n1", "read"))
            wait_until(lambda: bool(holding.execute(cut).scalar()))
            with pytest.raises(PASSING, match="terminating connection"):
                storing.result(60)


def test_what_is_over_a_limit_of_the_databases_is_rejected_alone(url: str) -> None:
    with closing(Database(url)) as database:
        desk = Desk(database, AT)
        desk.source()
        too_long = "".join(Random(1).choices(ascii_letters, k=100_000))  # an index takes 2,700 bytes, compressed
        stored = desk.store(item("n1"), item(too_long), item("n2"))
    assert (2, 1) == (len(stored.revisions), len(stored.refused))
