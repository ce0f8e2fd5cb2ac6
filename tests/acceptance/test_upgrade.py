"""Old processes on a newer schema, new processes on an older one: they go on, or refuse and say what to do."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.processes import COMMAND, Running, Tocsin
from tests.integration.store.migrating import CONTRACTING, EXPANDING, NEXT, migration
from tests.servers import Redis
from worker.store import schema
from worker.store.head import HEAD
from worker.store.session import Database

_ROWS = 12
_WITHIN_S = 60.0
_WORKER, _BEAT = (*COMMAND, "worker", "--", "--concurrency", "1"), (*COMMAND, "beat")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as opened:
        yield opened


@pytest.fixture
def upgraded(tocsin: Tocsin, redis_server: Redis, postgres_url: str) -> Tocsin:
    """Tocsin on PostgreSQL, yet to be migrated, and on Redis."""
    tocsin.spread(redis_server, postgres_url)
    return tocsin


def works(tocsin: Tocsin, process: Running) -> None:
    """It delivers what is new, and what has changed."""
    tocsin.sandbox.publish(_ROWS)
    tocsin.sandbox.change(_ROWS // 2)
    process.until(lambda: not tocsin.sandbox.broken_promises(), "everything has arrived", _WITHIN_S)


def test_a_busy_worker_survives_an_expanded_schema_and_may_start_on_it_again(
    upgraded: Tocsin, database: Database, tmp_path: Path
) -> None:
    schema.migrate(database)
    with upgraded.start(*_WORKER) as worker, upgraded.start(*_BEAT) as beat:
        for _ in range(2):  # so that every statement is one of those that are kept prepared
            works(upgraded, worker)
        schema.migrate(database, to=NEXT, further=[migration(tmp_path / "next", *EXPANDING)])
        works(upgraded, worker)
        for process in (beat, worker):
            process.send(signal.SIGTERM)
        assert [0, 0] == [beat.ended(_WITHIN_S), worker.ended(_WITHIN_S)]
        assert "Traceback" not in worker.stderr

    with upgraded.run() as run:
        works(upgraded, run)
        assert 0 == run.stopped()
    assert (0, f"the schema was {NEXT} already\n") == upgraded.says("migrate")[:2]
    assert 0 == upgraded.sandbox.tally().duplicates


def test_nothing_old_starts_on_a_schema_that_it_would_not_survive(
    upgraded: Tocsin, database: Database, tmp_path: Path
) -> None:
    schema.migrate(database, to=NEXT, further=[migration(tmp_path / "next", *CONTRACTING, survived_by=NEXT)])
    refusal = f"database: its schema ({NEXT}) is newer than this version's ({HEAD}): update Tocsin"
    assert_refused(upgraded, refusal, "run", "worker", "beat", "migrate")


def test_nothing_new_starts_on_the_schema_of_before_until_it_was_migrated(upgraded: Tocsin, database: Database) -> None:
    before = f"{int(HEAD) - 1:04}"
    schema.migrate(database, to=before)
    refusal = f"database: its schema is {before}, this version needs {HEAD}: run tocsin migrate"
    assert_refused(upgraded, refusal, "run", "worker", "beat")
    assert (0, f"the schema is now {HEAD}\n") == upgraded.says("migrate")[:2]


def assert_refused(tocsin: Tocsin, refusal: str, *commands: str) -> None:
    """By every process, with exit 2 and in one line that is no traceback."""
    with tocsin.script("each_command.py", *commands) as processes:
        assert 0 == processes.ended(2 * _WITHIN_S)
        assert f"{[2] * len(commands)}" == processes.stdout.splitlines()[-1]
        assert len(commands) == processes.stderr.splitlines().count(refusal)
        assert "Traceback" not in processes.stderr
