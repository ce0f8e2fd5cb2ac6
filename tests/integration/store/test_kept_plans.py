"""Foreign keys are checked by plans that are kept, and that are as good for a million rows as for ten.

Counted in tables that were read from end to end, which is the same on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, text

from tests.fakes import item
from tests.integration.store.desk import Desk
from worker.store import recording
from worker.store.session import Database

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
READ_WHOLE = text("SELECT relname FROM pg_stat_xact_user_tables WHERE seq_scan > 0 ORDER BY relname")
TIMES_WHOLE = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'delivery'")
KEEPING = text("SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan')")
KEPT, NOT_KEPT = ("force_generic_plan", "off"), ("force_custom_plan", "on")


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


@contextmanager
def kept(database: Database) -> Iterator[list[tuple[str, ...]]]:
    """What each transaction meanwhile says of its plans when it ends."""
    seen: list[tuple[str, ...]] = []

    def look(connection: Connection) -> None:
        seen.append(tuple(connection.execute(KEEPING).one()))

    event.listen(database.engine, "commit", look)
    try:
        yield seen
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


def test_an_attempts_delivery_is_looked_up_by_index_too(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(10)))
    with desk.database.transaction() as session:
        session.execute(text("ANALYZE"))
    desk.deliver()
    desk.store(*(item(f"many{number}") for number in range(500)))
    due = desk.claim()
    with desk.database.transaction() as session:
        before = session.execute(TIMES_WHOLE).scalar_one()
        written = recording.record(session, [desk.judged(one, 200) for one in due], desk.now)
        times = session.execute(TIMES_WHOLE).scalar_one() - before
    assert len(written) == 500
    assert times <= 2  # by statements that look for all of them at once


def test_plans_are_kept_by_the_transaction_of_a_page_and_by_no_other(desk: Desk) -> None:
    with kept(desk.database) as seen:
        desk.store(item("a"))
        desk.store(item("a"))
    assert seen == [KEPT, NOT_KEPT]


def test_plans_are_kept_for_many_attempts_and_not_for_a_few(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(30)))
    due = desk.claim()
    with kept(desk.database) as seen:
        desk.record([desk.judged(one, 200) for one in due[:2]])
        desk.record([desk.judged(one, 200) for one in due[2:]])
    assert seen == [NOT_KEPT, KEPT]


def test_no_plans_are_kept_where_what_follows_asks_for_all_that_is_pending(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(60)))
    due = desk.claim()
    with kept(desk.database) as seen:
        desk.record([desk.judged(one, 500) for one in due[:30]])
        desk.record([desk.judged(one, 200) for one in due[30:]])  # it has recovered
    assert seen == [NOT_KEPT, NOT_KEPT]
