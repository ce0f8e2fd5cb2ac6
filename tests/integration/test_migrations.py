import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

import worker.store.migrations
from worker.errors import ConfigurationError
from worker.store import schema
from worker.store.session import Database
from worker.store.tables import Source

_ANOTHER_PROCESS = """
import sys
from worker.store import schema
from worker.store.session import Database
database = Database(sys.argv[1])
schema.migrate(database)
database.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    with closing(Database(empty_url)) as database:
        yield database


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


def _set_version(database: Database, version: str, since: str | None = None) -> None:
    with database.transaction() as session:
        told = "UPDATE tocsin_schema SET version_num = :version, compatible_since = :since"
        session.execute(text(told), {"version": version, "since": since})


def _problem(database: Database) -> str:
    with pytest.raises(ConfigurationError) as refused:
        schema.require(database)
    return str(refused.value)


def test_an_empty_database_is_brought_up_to_date_once(empty: Database) -> None:
    assert schema.current(empty) is None
    assert (schema.migrate(empty), schema.current(empty)) == (True, schema.HEAD)
    assert schema.migrate(empty) is False


def test_migrated_tables_are_those_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {"version_table": "tocsin_schema", "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Source.metadata) == []


def test_every_index_and_constraint_of_the_models_is_there(database: Database) -> None:
    found = inspect(database.engine)
    for table in Source.metadata.tables.values():
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
    assert [check["name"] for check in found.get_check_constraints("delivery")] == ["delivery_status"]


def test_the_head_is_the_newest_migration() -> None:
    folder = Path(str(worker.store.migrations.__file__)).parent / "versions"
    newest = max(path.name for path in folder.glob("[0-9]*.py"))
    assert newest.startswith(f"{schema.HEAD}_")


def test_many_threads_may_migrate_at_once(empty_url: str) -> None:
    def migrate(_number: int) -> str | None:
        with closing(Database(empty_url)) as database:
            schema.migrate(database)
            return schema.current(database)

    with ThreadPoolExecutor(5) as threads:
        assert set(threads.map(migrate, range(5))) == {schema.HEAD}


def test_two_processes_may_migrate_at_once(empty_url: str, empty: Database) -> None:
    command = [sys.executable, "-c", _ANOTHER_PROCESS, empty_url]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert schema.current(empty) == schema.HEAD


def test_sqlite_migrates_itself(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'new.db'}")) as database:
        schema.require(database)
        assert schema.current(database) == schema.HEAD


def test_a_migrated_database_is_all_that_is_required(database: Database) -> None:
    schema.require(database)
    assert schema.current(database) == schema.HEAD


def test_postgresql_without_tables_is_refused_naming_the_command(empty_postgres: Database) -> None:
    assert (
        _problem(empty_postgres)
        == f"database: it has no tables yet, this version needs {schema.HEAD}: run tocsin migrate"
    )
    assert schema.current(empty_postgres) is None


def test_an_older_postgresql_is_refused_naming_the_command(empty_postgres: Database) -> None:
    schema.migrate(empty_postgres)
    _set_version(empty_postgres, "0000")
    assert (
        _problem(empty_postgres)
        == f"database: its schema is 0000, this version needs {schema.HEAD}: run tocsin migrate"
    )


@pytest.mark.parametrize("since", ["0001", schema.HEAD])
def test_a_newer_schema_that_calls_this_version_compatible_is_good_enough(database: Database, since: str) -> None:
    _set_version(database, "9999", since)
    schema.require(database)
    assert (schema.migrate(database), schema.current(database)) == (False, "9999")


def test_a_newer_schema_that_only_newer_versions_survive_is_refused(database: Database) -> None:
    _set_version(database, "9999", "9998")
    assert _problem(database).endswith("update Tocsin")


def test_a_newer_schema_is_refused(database: Database) -> None:
    _set_version(database, "9999")
    assert _problem(database) == (
        f"database: its schema (9999) is newer than this version's ({schema.HEAD}): update Tocsin"
    )


def test_a_newer_schema_is_not_migrated(database: Database) -> None:
    _set_version(database, "9999")
    with pytest.raises(ConfigurationError, match="is newer than this version's"):
        schema.migrate(database)


def test_a_migration_that_fails_leaves_nothing(empty: Database) -> None:
    with empty.transaction() as session:
        session.execute(text("CREATE TABLE attempt (id integer)"))
    with pytest.raises(Exception, match="attempt"):
        schema.migrate(empty)
    assert inspect(empty.engine).get_table_names() == ["attempt"]


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 30000)]
)
def test_sqlite_is_durable_strict_and_patient(migrated_file: Path, tmp_path: Path, pragma: str, value: object) -> None:
    shutil.copy(migrated_file, tmp_path / "tocsin.db")
    with closing(Database(f"sqlite:///{tmp_path / 'tocsin.db'}")) as database, database.reading() as session:
        assert session.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_database_that_cannot_be_reached_is_said_in_words(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'no such folder' / 'tocsin.db'}")) as database:
        assert _problem(database) == "database: it can't be used: unable to open database file"


def test_the_password_of_a_database_is_in_no_message() -> None:
    with closing(Database("postgresql+psycopg://tocsin:hunter2@127.0.0.1:1/tocsin")) as database:
        assert "hunter2" not in _problem(database)


def test_a_forked_process_leaves_its_parents_connections_alone(database: Database) -> None:
    with database.reading() as session:
        database.forget()
        assert session.execute(text("SELECT 1")).scalar() == 1
    with database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_a_reader_sees_what_is_committed_while_somebody_writes(database: Database) -> None:
    with database.transaction() as writer, database.reading() as reader:
        writer.execute(text("DELETE FROM poll_run"))
        assert reader.execute(text("SELECT count(*) FROM source")).scalar() == 0
