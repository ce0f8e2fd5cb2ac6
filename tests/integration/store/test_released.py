"""A process of an older version at work on this schema, by what it says to PostgreSQL.

What it says was recorded with its own code (tests/released.py): polls that store what is new and what has changed,
claims, deliveries, their records. Of all else that it may say, `test_survived` shows that the schema was only expanded.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.errors import UndefinedColumn
from sqlalchemy import text

from tests.released import FOLDER, dumped, loaded, play, record
from worker.store import schema
from worker.store.session import Database

_OLD = loaded((FOLDER / "0007.json").read_text(encoding="utf-8"))


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


def counted(database: Database) -> dict[str, int]:
    """Deliveries by their status."""
    with database.reading() as session:
        rows = session.execute(text("SELECT status, count(*) FROM delivery GROUP BY status")).all()
    return {row.status: row.count for row in rows}


def test_the_version_of_schema_0007_works_on_this_schema_as_on_its_own(empty: Database, postgres_url: str) -> None:
    schema.migrate(empty)
    assert [] == play(_OLD, postgres_url)
    assert {"delivered": 4} == counted(empty)


def test_what_this_version_says_can_be_recorded_for_the_next(
    empty: Database, postgres_url: str, tmp_path: Path
) -> None:
    schema.migrate(empty)
    said = loaded(dumped(record(postgres_url, tmp_path)))
    with empty.transaction() as session:
        session.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    schema.migrate(empty)
    assert [] == play(said, postgres_url)


def test_a_schema_that_has_lost_something_is_noticed(empty: Database, postgres_url: str) -> None:
    schema.migrate(empty)
    with empty.transaction() as session:
        session.execute(text("ALTER TABLE endpoint DROP COLUMN warned"))
    with pytest.raises(UndefinedColumn):
        play(_OLD, postgres_url)
