"""Foreign keys are checked by plans that are kept, and that are as good for a million rows as for ten.

Counted in tables that were read from end to end, which is the same on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, text

from tests.fakes import item
from tests.integration.store.desk import Desk
from worker.store.session import Database

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
READ_WHOLE = text("SELECT relname FROM pg_stat_xact_user_tables WHERE seq_scan > 0 ORDER BY relname")
KEEPING = text("SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan')")


@contextmanager
def read_whole(database: Database) -> Iterator[list[str]]:
    """The tables that were read from end to end, of each transaction meanwhile."""
    found: list[str] = []

    def look(connection: Connection) -> None:
        found.extend(connection.execute(READ_WHOLE).scalars())

    event.listen(database.engine, "commit", look)
    try:
        yield found
    finally:
        event.remove(database.engine, "commit", look)


def test_keys_that_were_first_checked_in_tiny_tables_are_still_checked_by_index(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"))
    with desk.database.transaction() as session:
        session.execute(text("ANALYZE"))  # else they pass for larger
    desk.store(item("b"))
    with read_whole(desk.database) as found:
        desk.store(*(item(f"many{number}") for number in range(300)))
        desk.store(*(item(f"more{number}") for number in range(10)))
    assert "message" not in found  # which deliveries point to, and nothing else looks at


def test_plans_are_kept_by_the_transaction_of_a_page_and_by_no_other(desk: Desk) -> None:
    seen: list[tuple[str, ...]] = []
    event.listen(
        desk.database.engine, "commit", lambda connection: seen.append(tuple(connection.execute(KEEPING).one()))
    )
    desk.store(item("a"))
    desk.store(item("a"))
    assert seen == [("force_generic_plan", "off"), ("force_custom_plan", "on")]
