"""Every migration since 0007 is survived by the version before it, or says which it is survived by.

This compares shapes: what any statement of the version before could need is still there, and nothing more is asked of
its rows. `test_released` plays the very statements of an old version.
"""

import runpy
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

import worker.store.migrations
from tests.integration.store.migrating import CONTRACTING, EXPANDING, NEXT, migration
from tests.integration.store.survival import broken, shape
from worker.errors import ConfigurationError
from worker.store import schema
from worker.store.head import HEAD, Found
from worker.store.session import Database

_RELEASED = 7
_VERSIONS = Path(str(worker.store.migrations.__file__)).parent / "versions"
_SINCE = [f"{number:04}" for number in range(_RELEASED + 1, int(HEAD) + 1)]


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


@pytest.mark.parametrize("version", _SINCE)
def test_a_migration_only_expands_the_schema_or_says_who_survives_it(empty: Database, version: str) -> None:
    (file,) = _VERSIONS.glob(f"{version}_*.py")
    schema.migrate(empty, to=f"{int(version) - 1:04}")
    before = shape(empty)
    schema.migrate(empty, to=version)
    assert "survived_by" in runpy.run_path(str(file)) or broken(before, shape(empty)) == []


def test_a_migration_that_only_expands_is_found_good(empty: Database, tmp_path: Path) -> None:
    schema.migrate(empty)
    before = shape(empty)
    assert schema.migrate(empty, to=NEXT, further=[migration(tmp_path, *EXPANDING)])
    assert broken(before, shape(empty)) == []


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        ('op.drop_table("heartbeat")', "heartbeat is gone"),
        ('op.drop_column("endpoint", "warned")', "endpoint.warned is gone"),
        ('op.alter_column("endpoint", "warned", new_column_name="told")', "endpoint.warned is gone"),
        ('op.rename_table("heartbeat", "pulse")', "heartbeat is gone"),
        ('op.alter_column("endpoint", "warned", type_=sa.BigInteger())', "endpoint.warned has another type"),
        (
            'op.add_column("poll_run", sa.Column("region", sa.Text(), nullable=False))',
            "poll_run.region is demanded of rows that don't know it",
        ),
        (
            'op.alter_column("source", "reason", nullable=False)',
            "source.reason may be null, or not, as it was not before",
        ),
        (
            'op.alter_column("endpoint", "warned", server_default=None)',
            "endpoint.warned has no default any more",
        ),
        ('op.create_unique_constraint("u", "source", ["provider"])', "source demands that ['provider'] is unique"),
        ('op.create_index("u", "source", ["provider"], unique=True)', "source demands that ['provider'] is unique"),
        ('op.execute("ALTER TABLE source ADD CHECK (failures < 9)")', "source demands: check failures < 9"),
        ('op.drop_index("source_due", "source")', "source has lost the index source_due"),
    ],
)
def test_what_the_version_before_does_not_survive_is_found(
    empty: Database, tmp_path: Path, deed: str, found: str
) -> None:
    schema.migrate(empty)
    before = shape(empty)
    schema.migrate(empty, to=NEXT, further=[migration(tmp_path, deed)])
    assert found in broken(before, shape(empty))


def test_a_schema_that_was_only_expanded_says_that_all_since_0007_are_compatible(
    empty: Database, tmp_path: Path
) -> None:
    schema.migrate(empty, to=NEXT, further=[migration(tmp_path, *EXPANDING)])
    assert schema.found(empty) == Found(NEXT, "0007")
    schema.require(empty)


def test_a_contract_step_says_who_is_compatible(empty: Database, tmp_path: Path) -> None:
    schema.migrate(empty, to=NEXT, further=[migration(tmp_path, *CONTRACTING, survived_by=NEXT)])
    assert schema.found(empty) == Found(NEXT, NEXT)
    with pytest.raises(ConfigurationError, match=r"is newer than this version's .*: update Tocsin"):
        schema.require(empty)
    with pytest.raises(ConfigurationError, match=r"is newer than this version's .*: update Tocsin"):
        schema.migrate(empty)


def test_a_migration_waits_for_a_table_only_briefly_and_tries_again(empty: Database, tmp_path: Path) -> None:
    schema.migrate(empty)
    told: list[str] = []
    with psycopg.connect(empty.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")) as backup:
        backup.execute("LOCK TABLE source IN ACCESS SHARE MODE")

        def hear(line: str) -> None:
            told.append(line)
            backup.rollback()

        assert schema.migrate(empty, hear, NEXT, [migration(tmp_path, *EXPANDING)])
    assert told == ["others hold a table that is to change; trying again"]


def test_a_migration_may_take_longer_than_other_statements(empty: Database, tmp_path: Path) -> None:
    schema.migrate(empty)
    limit = 'op.add_column("source", sa.Column("region", sa.Text(), server_default={}))'
    shown = 'op.get_bind().execute(sa.text("SHOW statement_timeout")).scalar()'
    schema.migrate(empty, to=NEXT, further=[migration(tmp_path, limit.format(shown))])
    with empty.reading() as session:
        assert session.execute(text("SHOW statement_timeout")).scalar() == "2min"
    assert shape(empty).columns["source"]["region"]["default"] == "'0'::text"
