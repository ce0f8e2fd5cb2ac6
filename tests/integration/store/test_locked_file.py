"""A SQLite file that another process has locked: whoever writes waits for so long, and no longer for others' sake."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.fakes import AT
from tests.servers import wait_until
from worker.store import heartbeats
from worker.store.session import Database, is_passing

BUSY = timedelta(seconds=3)
LATE_S = 2.0


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tocsin.db"
    path.write_bytes(migrated_file.read_bytes())
    return path


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{file}", BUSY)) as opened:
        yield opened


@pytest.fixture
def locked(file: Path) -> Iterator[None]:
    """By somebody else."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


class Writer(Thread):
    """Writes once, or fails; and when that was."""

    def __init__(self, database: Database, *, first: bool = False) -> None:
        super().__init__()
        self._database, self._first, self._begun_at = database, first, monotonic()
        self.error: OperationalError | None = None

    def run(self) -> None:
        try:
            with self._database.transaction(first=self._first) as session:
                heartbeats.record(session, "written", AT)
        except OperationalError as error:
            self.error = error
        self.took_s = monotonic() - self._begun_at

    @property
    def failed_in_passing(self) -> bool:
        return self.error is not None and is_passing(self.error)


def late(database: Database) -> Writer:
    """One that gets its turn late: somebody else of ours had it, and did nothing with it."""
    with database.transaction():
        writer = Writer(database)
        writer.start()
        wait_until(after(LATE_S))
    writer.join()
    return writer


def after(seconds: float) -> Callable[[], bool]:
    until = monotonic() + seconds
    return lambda: monotonic() >= until


def written(database: Database) -> datetime | None:
    with database.reading() as session:
        return heartbeats.last(session, "written")


@pytest.mark.usefixtures("locked")
def test_many_threads_wait_for_it_no_longer_than_one(database: Database) -> None:
    writers = [Writer(database, first=number % 2 == 0) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.failed_in_passing for writer in writers] == [True] * 6
    assert max(writer.took_s for writer in writers) < 2 * BUSY.total_seconds()


@pytest.mark.usefixtures("locked")
def test_who_got_its_turn_late_waits_for_what_is_left(database: Database) -> None:
    writer = late(database)
    assert (writer.failed_in_passing, writer.took_s < BUSY.total_seconds() + LATE_S * 0.9) == (True, True)


def test_who_got_its_turn_late_writes_where_nobody_else_does_and_the_next_has_all_its_time(database: Database) -> None:
    writer = late(database)
    assert (writer.error, written(database)) == (None, AT)
    with database.transaction() as session:
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == BUSY / timedelta(milliseconds=1)
