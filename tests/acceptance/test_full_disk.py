"""A disk that is full, as real processes meet it: it is said in a line, nothing breaks, and with room work goes on.

The limit is on the size of a file (RLIMIT_FSIZE), which needs no rights: writing beyond it fails as on a full disk.
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import orjson
import psycopg
import pytest
from cryptography.fernet import Fernet

from tests.acceptance.processes import Running, Tocsin
from tests.servers import Postgres
from worker.sandbox import PATH
from worker.store import shown
from worker.store.shown import Filter

_WITHIN_S = 60.0
_A_PAGE = 8192
_FILE_KB = 2_000
"""PostgreSQL's log has less in a file: it goes on while tables are full."""
_BALLAST = """
    INSERT INTO message (id, type, revision, body, created_at)
    SELECT 'ballast ' || n, 'tocsin.test', 1, decode(repeat(md5(n::text), 118), 'hex'), '2020-01-01'
    FROM generate_series(%s::int, %s::int) n
"""


class Small(Postgres):
    """A PostgreSQL none of whose files may grow beyond two megabytes."""

    cluster = ("--wal-segsize=1",)

    def _command(self) -> list[str]:
        return ["bash", "-c", f'ulimit -S -f {_FILE_KB}; exec "$@"', "small", *super()._command()]


@pytest.fixture
def small() -> Iterator[Small]:
    with Small() as server:
        yield server


def arrived(tocsin: Tocsin, count: int) -> bool:
    return len({one.webhook_id for one in tocsin.sandbox.receiver.received(PATH)}) >= count


def troubles(process: Running) -> list[str]:
    """Why, in each line that tells of trouble with the database."""
    lines = [orjson.loads(line) for line in process.stderr.splitlines() if line[:1] + line[-1:] == "{}"]
    return [line["reason"] for line in lines if line["event"] == "database.trouble"]


def all_is_as_promised(tocsin: Tocsin, process: Running) -> None:
    """Every line is one of a log, nothing is lost, and nothing that was recorded came again."""
    assert "Traceback" not in process.stderr
    assert [] == tocsin.sandbox.broken_promises()
    with closing(tocsin.house()) as home, home.database.reading() as session:
        deliveries = shown.deliveries(session, Filter(limit=0))
    assert {"delivered"} == {row["status"] for row in deliveries}
    assert {row["message_id"] for row in deliveries} == {
        one.webhook_id for one in tocsin.sandbox.receiver.received(PATH)
    }


def limit(process: Running, size: int) -> None:
    """No file of this process may grow beyond so many bytes from now on."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def size_of(*files: Path) -> int:
    return max(file.stat().st_size for file in files)


def test_sqlite_on_a_full_disk_goes_on_when_there_is_room(tocsin: Tocsin) -> None:
    sandbox, file = tocsin.sandbox, tocsin.folder / "tocsin.db"
    sandbox.publish(5, sandbox.bookkeep.slug)
    with tocsin.run() as process:
        process.until(lambda: arrived(tocsin, 5), "what came before it", _WITHIN_S)
        limit(process, size_of(file, Path(f"{file}-wal")) + 4 * _A_PAGE)
        for slug in sandbox.apis:
            sandbox.publish(30, slug)
        process.until(lambda: bool(troubles(process)), "it is said", _WITHIN_S)
        assert not arrived(tocsin, 95)
        limit(process, resource.RLIM_INFINITY)
        process.until(lambda: arrived(tocsin, 95), "it goes on", _WITHIN_S)
        process.until(lambda: "database.recovered" in process.stderr, "that is said too", _WITHIN_S)
        assert 0 == process.stopped()

    assert ["disk I/O error"] == troubles(process)
    with closing(sqlite3.connect(file)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
    all_is_as_promised(tocsin, process)


def fill(url: str) -> None:
    """Messages up to the last that the disk takes."""
    with psycopg.connect(url, autocommit=True) as connection:
        first, step = 1, 250
        while step:
            with suppress(psycopg.errors.InternalError, psycopg.errors.DiskFull):
                connection.execute(_BALLAST, (first, first + step - 1))
                first += step
                continue
            step //= 4


def whole(url: str) -> int:
    """Everything in the database is read, its indexes too; the rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION amcheck")
        connection.execute(
            "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
            "WHERE c.relnamespace = 'public'::regnamespace"
        )
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert [] == [
            found
            for (name,) in tables
            for found in connection.execute("SELECT msg FROM verify_heapam(%s)", (name,)).fetchall()
        ]
        return sum(len(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for (name,) in tables)  # noqa: S608


def test_postgresql_on_a_full_disk_is_pruned_and_goes_on_when_there_is_room(tocsin: Tocsin, small: Small) -> None:
    sandbox, url = tocsin.sandbox, small.create()
    plain = url.replace("+psycopg", "")
    tocsin.environ |= {"TOCSIN_DATABASE": url, "TOCSIN_KEY": Fernet.generate_key().decode()}
    assert 0 == tocsin.says("migrate")[0]
    sandbox.publish(5, sandbox.bookkeep.slug)
    with tocsin.run() as process:
        process.until(lambda: arrived(tocsin, 5), "what came before it", _WITHIN_S)
        fill(plain)
        for slug in sandbox.apis:
            sandbox.publish(20, slug)
        process.until(lambda: "could not extend file" in process.stderr, "it is said", _WITHIN_S)
        assert not arrived(tocsin, 65)
        code, out, _ = tocsin.says("prune")
        assert (0, True) == (code, "0 notifications, " in out)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("VACUUM")
        process.until(lambda: arrived(tocsin, 65), "it goes on", _WITHIN_S)
        assert 0 == process.stopped()

    assert whole(plain) > 65
    all_is_as_promised(tocsin, process)
