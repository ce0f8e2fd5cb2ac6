"""A look is one statement and no more; what comes after it on the same connection is a transaction as ever."""

from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest
from sqlmodel import col, literal, select

from tests.fakes import AT
from worker.store import endpoints
from worker.store.session import Database
from worker.store.tables import EndpointRow

ANYTHING = select(literal(1))
LAST_SAID = (
    "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


@pytest.fixture
def on_postgresql(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


def test_on_postgresql_a_look_is_followed_by_no_commit(on_postgresql: Database, postgres_url: str) -> None:
    def said() -> list[str]:
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as beside:
            return [query for (query,) in beside.execute(LAST_SAID)]

    assert on_postgresql.finds(ANYTHING)
    after_a_look = said()
    assert on_postgresql.finds_any_of([1], ANYTHING)
    after_another = said()
    with on_postgresql.reading() as session:
        session.execute(ANYTHING)
    assert [[one[:6] for one in each] for each in (after_a_look, after_another, said())] == [
        ["SELECT"], ["SELECT"], ["COMMIT"],
    ]  # fmt: skip


def test_after_a_look_a_transaction_is_undone_as_before(database: Database) -> None:
    assert database.finds(ANYTHING)
    with suppress(ZeroDivisionError), database.transaction() as session:
        endpoints.register(session, "erp", AT)
        raise ZeroDivisionError
    with database.reading() as session:
        assert [] == endpoints.known(session, ["erp"])


def test_a_look_sees_what_others_have_committed(database: Database) -> None:
    registered = select(col(EndpointRow.name))
    assert not database.finds(registered)
    with database.transaction() as session:
        endpoints.register(session, "erp", AT)
    assert database.finds(registered)
