"""A look at the database through its drivers, wherever its address says it is."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.servers import LOOPBACK, Postgres, free_port
from worker.errors import ConfigurationError
from worker.store.glance import Glance, glance
from worker.store.head import HEAD, Found

PATIENCE = timedelta(seconds=4)
EMPTY = Glance(Found(HEAD, "0007"), None)


def test_of_several_hosts_the_one_that_answers_is_asked(postgres: Postgres, migrated_template: str) -> None:
    hosts = f"host={LOOPBACK}:{free_port()}&host={LOOPBACK}:{postgres.port}"
    assert glance(f"postgresql+psycopg://postgres@/{migrated_template}?{hosts}", HEAD, PATIENCE) == EMPTY


def test_a_host_without_a_port_and_libpqs_own_parameters_are_understood(
    postgres: Postgres, migrated_template: str
) -> None:
    address = f"postgresql+psycopg://post%67res:p%40ss@/{migrated_template}?host={LOOPBACK}&port={postgres.port}&sslmode=disable"
    assert glance(address, HEAD, PATIENCE) == EMPTY


def test_a_file_may_have_any_name(migrated_file: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_file, tmp_path / "what? 100% #1.db")
    assert glance(f"sqlite:///{tmp_path}/what? 100% #1.db", HEAD, PATIENCE) == EMPTY


def test_a_schema_of_before_is_not_asked_for_what_it_has_not(migrated_file: Path) -> None:
    assert glance(f"sqlite:///{migrated_file}", "9999", PATIENCE) == EMPTY


def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("not a database at all, " * 100, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"\Ait can't be used: file is not a database\Z"):
        glance(f"sqlite:///{file}", HEAD, PATIENCE)
