"""What following costs the database: it doesn't grow with what is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.fakes import AT
from tests.integration.following.course import DAY, Course
from tests.integration.store.desk import statements
from tests.model import NEWEST_FIRST, WINDOWED
from worker.provider import Contract
from worker.store.session import Database

MANY, FEW = 200_000, 2_000
_ID = {
    "sqlite": "printf('%032x', number)",
    "postgresql": "lpad(to_hex(number), 32, '0')::uuid",
}
_AGO = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', '{last}', -number || ' minutes')",
    "postgresql": "'{last}'::timestamptz - number * interval '1 minute'",
}


def _old_rows(database: Database, source_id: int, number: int) -> None:
    """Closed rows, one a minute, up to a day ago."""
    dialect = database.engine.dialect.name
    at = _AGO[dialect].format(last=f"{AT - DAY:%Y-%m-%d %H:%M:%S}")
    statement = f"""
        WITH RECURSIVE numbers(number) AS (
            SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {number}
        )
        INSERT INTO notification (
            id, source_id, external_id, revision, content_hash, message_id, status, occurred_at, tracked_since,
            events, raw, first_seen_at, followed, absences
        )
        SELECT {_ID[dialect]}, {source_id}, 'old ' || number, 1, '', '', 'resolved', {at}, {at}, '[]', '{{}}', {at},
            false, 0
        FROM numbers
    """  # noqa: S608  # nothing of it comes from elsewhere
    with database.transaction() as session:
        session.execute(text(statement))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _course(database: Database, contract: Contract, number: int) -> Course:
    """A source with that many old rows, and three open ones that are due."""
    course = Course.begun(database, contract)
    _old_rows(database, course.source.id or 0, number)
    for row in range(3):
        course.model.put(f"{row}", at=AT - timedelta(hours=row + 5))
    course.model.put("mark", "resolved")
    course.poll()
    course.clock.at += timedelta(hours=3)
    return course


@contextmanager
def _steps(database: Database) -> Iterator[list[int]]:
    """Hundreds of SQLite's own steps that are taken meanwhile."""
    taken: list[int] = []

    def count(connection: Any, *_: object) -> None:
        connection.set_progress_handler(lambda: taken.append(1), 100)

    database.close()
    event.listen(database.engine, "connect", count)
    yield taken
    event.remove(database.engine, "connect", count)
    database.close()


@contextmanager
def _plans(database: Database) -> Iterator[list[str]]:
    """How PostgreSQL goes about each statement meanwhile."""
    plans: list[str] = []

    def explain(connection: Any, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "notification" in statement:
            with connection.connection.dbapi_connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))

    event.listen(database.engine, "before_cursor_execute", explain)
    yield plans
    event.remove(database.engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("contract", [WINDOWED, NEWEST_FIRST], ids=["windows", "newest first"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_poll_that_follows_takes_as_many_steps_in_a_large_table(database: Database, contract: Contract) -> None:
    course = _course(database, contract, FEW)
    with _steps(database) as with_few:
        course.poll()
    _old_rows_beyond(database, course)
    course.clock.at += timedelta(hours=3)
    with _steps(database) as with_many:
        course.poll()
    assert len(with_many) <= len(with_few) * 1.2 + 5


def _old_rows_beyond(database: Database, course: Course) -> None:
    with database.transaction() as session:
        session.execute(text("DELETE FROM notification WHERE external_id LIKE 'old %'"))
    _old_rows(database, course.source.id or 0, MANY)


@pytest.mark.parametrize("contract", [WINDOWED, NEWEST_FIRST], ids=["windows", "newest first"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_statement_of_following_walks_through_a_large_table(database: Database, contract: Contract) -> None:
    course = _course(database, contract, MANY)
    with _plans(database) as plans:
        course.poll()
    assert len(plans) > 5
    assert [plan for plan in plans if "Seq Scan on notification" in plan] == []


def test_where_nothing_is_followed_nothing_is_written_after_the_pass(database: Database) -> None:
    course = Course.begun(database, WINDOWED)
    course.model.put("closed", "resolved")
    course.poll()
    course.clock.at += timedelta(minutes=10)
    with statements(database) as said:
        course.poll()
    writes = [one for one in said if one.split(maxsplit=1)[0] in {"INSERT", "UPDATE", "DELETE"}]
    covered = max(at for at, one in enumerate(writes) if "covered_until=" in one)
    assert [one.split()[1] for one in writes[covered + 1 :]] == ["source", "poll_run"]  # it is settled
