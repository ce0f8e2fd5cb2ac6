"""What pruning costs, in small batches and by partitions of a day, and what a claim and a record notice of it.

    .venv/bin/python -m benchmarks.retention postgresql+psycopg://user:password@host/name [OLD] [YOUNG]

Wants an empty database. OLD notifications, each with a message, a delivery and an attempt, and as many rows of the
ledger, are past their time, YOUNG ones are not; ten thousand deliveries are pending. First a claim and its record with
nothing beside, then while `retention.prune` goes, then while a partition of attempts with as many rows is detached and
dropped; and what a row costs to insert in each.
"""

import threading
import time
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from statistics import median, quantiles
from typing import Self

from sqlalchemy import event, text

from benchmarks.backlog import AT, begin_afresh, claim, fill, prepare, record, tidy_up
from tests import words
from worker.store import retention, schema
from worker.store.session import Database

_PENDING = 10_000
_LONG_AGO, _BEFORE = AT - timedelta(days=500), AT - timedelta(days=400)
_MS = 1000.0
_REST_S = 0.02
_ROUNDS = 200
_OLD = """
    INSERT INTO source (id, name, provider, created_at, next_poll_at, clock_offset_s, failures)
    VALUES (1, 'books', 'bookkeep', :at, :at, 0, 0) ON CONFLICT DO NOTHING;
    INSERT INTO notification (id, source_id, external_id, revision, content_hash, message_id, status, events, raw,
                              first_seen_at, followed, absences)
    SELECT md5(n::text)::uuid, 1, n, 1, 'hash', 'msg_' || n, 'resolved', '[]', repeat('raw ', 200),
           :at + n * interval '1 ms', false, 0
    FROM generate_series(cast(:first AS int), cast(:last AS int)) n;
    UPDATE message SET created_at = :at WHERE notification_id IN (SELECT id FROM notification);
    INSERT INTO attempt (delivery_id, number, trigger, started_at, duration_ms, outcome)
    SELECT id, 1, 'first', :at + id * interval '1 ms', 5, '2xx' FROM delivery
    WHERE message_id IN (SELECT message_id FROM notification WHERE first_seen_at >= :at
                         AND first_seen_at < cast(:at AS timestamptz) + interval '90 days');
    INSERT INTO poll_run (source_id, started_at, pages, fetched, new, changed, unchanged, rejected, repairs)
    SELECT 1, :at + n * interval '1 ms', 1, 1, 1, 0, 0, 0, 0
    FROM generate_series(cast(:first AS int), cast(:last AS int)) n
"""
_PARTITIONED = """
    CREATE TABLE attempt_by_day (LIKE attempt INCLUDING DEFAULTS) PARTITION BY RANGE (started_at);
    ALTER TABLE attempt_by_day ADD PRIMARY KEY (id, started_at);
    CREATE INDEX ON attempt_by_day (delivery_id, number);
    ALTER TABLE attempt_by_day ADD FOREIGN KEY (delivery_id) REFERENCES delivery (id);
    CREATE TABLE attempt_of_old PARTITION OF attempt_by_day
        FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
    CREATE TABLE attempt_of_today PARTITION OF attempt_by_day FOR VALUES FROM ('2026-01-01') TO ('2030-01-01');
"""
_INSERT = """
    INSERT INTO {} (id, delivery_id, number, trigger, started_at, duration_ms, outcome)
    SELECT nextval('attempt_id_seq'), d.id, 9, 'first', :at, 5, '2xx' FROM delivery d ORDER BY d.id LIMIT 500
"""


class Beside:
    """A worker that claims and records without a pause, from when it is entered until it is left; its times in ms."""

    def __init__(self, database: Database, moments: Iterator[int]) -> None:
        self._database, self._moments = database, moments
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.took: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._left.is_set():
            now = AT + timedelta(days=2 * next(self._moments))
            begin_afresh(self._database)
            began = time.perf_counter()
            record(self._database, claim(self._database, now), now)
            self.took.append(_MS * (time.perf_counter() - began))

    def __str__(self) -> str:
        late = quantiles(self.took, n=20)[-1]
        return f"median {median(self.took):.0f} ms, 95 % {late:.0f} ms, longest {max(self.took):.0f} ms"


@contextmanager
def transactions(database: Database) -> Iterator[list[float]]:
    """How long each transaction takes meanwhile, in ms."""
    took: list[float] = []
    began: dict[int, float] = {}

    def begin(connection: object) -> None:
        began[id(connection)] = time.perf_counter()

    def end(connection: object) -> None:
        took.append(_MS * (time.perf_counter() - began[id(connection)]))

    event.listen(database.engine, "begin", begin)
    event.listen(database.engine, "commit", end)
    yield took
    event.remove(database.engine, "begin", begin)
    event.remove(database.engine, "commit", end)


def old_ones(database: Database, old: int, young: int) -> None:
    """What is to be pruned, and what is not."""
    fill(database, _PENDING + 1, _PENDING + old + young, "delivered")
    spans = ((_LONG_AGO, 1, old), (AT, old + 1, old + young))
    with database.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for at, first, last in spans:
            for statement in _OLD.split(";"):
                session.execute(text(statement), {"at": at, "first": _PENDING + first, "last": _PENDING + last})
    tidy_up(database)


def prune(database: Database) -> None:
    """All that is old, as `tocsin prune` does."""
    took_s, rows = defaultdict[str, float](float), defaultdict[str, int](int)
    with closing(Database(database.engine.url.render_as_string(hide_password=False))) as own, transactions(own) as took:
        began = time.perf_counter()
        for gone in retention.prune(own, _BEFORE, _BEFORE):
            took_s[gone.what] += time.perf_counter() - began
            rows[gone.what] += gone.rows
            time.sleep(_REST_S)
            began = time.perf_counter()
    for what, number in rows.items():
        if number:
            print(f"  {what}: {number:,} rows, {number / took_s[what]:,.0f}/s without the rests")
    print(f"  transactions: median {median(took):.0f} ms, the longest {max(took):.0f} ms, of {len(took)}")


def partition(database: Database, old: int) -> None:
    """Attempts in partitions: an old one with as many rows is filled, then detached and dropped."""
    with database.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in _PARTITIONED.strip().rstrip(";").split(";"):
            session.execute(text(statement))
        session.execute(
            text(
                "INSERT INTO attempt_of_old SELECT n, (SELECT min(id) FROM delivery), 1, 'first', "
                "'2025-01-01', 5, '2xx' FROM generate_series(1, :old) n"
            ),
            {"old": old},
        )


def drop(database: Database, how: str) -> None:
    """The partition goes; while its transaction lasts, the parent is locked. Prints how long that took."""
    autonomous = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with autonomous as connection:
        connection.execute(text("SET statement_timeout = 0"))
        began = time.perf_counter()
        connection.execute(text(f"ALTER TABLE attempt_by_day DETACH PARTITION attempt_of_old{how}"))
        between = time.perf_counter()
        connection.execute(text("DROP TABLE attempt_of_old"))
        print(
            f"  detached{how.lower()} in {_MS * (between - began):.0f} ms, dropped in "
            f"{_MS * (time.perf_counter() - between):.0f} ms"
        )


def inserted(database: Database, tables: Sequence[str]) -> list[float]:
    """Medians of milliseconds for 500 rows in each, in turn, so that a busy moment meets all alike."""
    took: dict[str, list[float]] = {table: [] for table in tables}
    for table in [*tables] * _ROUNDS:
        with database.transaction() as session:
            began = time.perf_counter()
            session.execute(text(_INSERT.format(table)), {"at": AT})
            took[table].append(_MS * (time.perf_counter() - began))
    return [median(each) for each in took.values()]


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database", type=words.database)
    parser.add_argument("old", type=words.positive, nargs="?", default=200_000)
    parser.add_argument("young", type=words.positive, nargs="?", default=200_000)
    asked = parser.parse_args()
    moments = count()
    with closing(Database(asked.database)) as database:
        schema.migrate(database)
        prepare(database)
        fill(database, 1, _PENDING, "pending")
        old_ones(database, asked.old, asked.young)
        beside(database, moments, "claim and record of 500, alone", lambda: time.sleep(15))
        beside(database, moments, "while batches are pruned", lambda: prune(database))
        partition(database, asked.old)
        plain, parted = inserted(database, ("attempt", "attempt_by_day"))
        print(f"500 attempts inserted: {plain:.1f} ms, in partitions {parted:.1f} ms")
        beside(database, moments, "while a partition is dropped", lambda: drop(database, " CONCURRENTLY"))


def beside(database: Database, moments: Iterator[int], name: str, what: Callable[[], None]) -> None:
    """The times of a worker while that is done."""
    print(f"{name}:")
    with Beside(database, moments) as worker:
        time.sleep(1)
        what()
        time.sleep(1)
    print(f"  {worker}")


if __name__ == "__main__":
    main()
