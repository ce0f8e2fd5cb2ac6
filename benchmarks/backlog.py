"""What a backlog costs a claim and a record: a thousand rows pending, against a million and ten million delivered.

    .venv/bin/python -m benchmarks.backlog postgresql+psycopg://user:password@host/name [PENDING] [DELIVERED]

Wants an empty database, and the right to make another beside it. Ten endpoints share the rows; each round claims 500
and records them as failed, due again much later, so that what is pending stays pending. The floor: the same with a
thousand pending and nothing delivered, in the other database, in turn with it. Medians of 40 rounds. Let
`shared_buffers` be what a server with such a backlog has (2 GB or more): 128 MB, its default, measures the way to the
pages instead.
"""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from typing import NamedTuple

from sqlalchemy import text

from benchmarks.row import Row, tell
from tests.words import database, positive
from worker.delivery import Attempted, Due, Outcome, Wire
from worker.store import claims, endpoints, recording, schema
from worker.store.rooms import Allowance, Slots
from worker.store.session import Database
from worker.webhooks.verdict import Policy, judge

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
ENDPOINTS = tuple(f"e{number}" for number in range(10))
AT_ONCE = 500
ROUNDS = 40
AT_MOST = 1.3
_FEW = 1_000
_LEASE = timedelta(seconds=45)
ALLOWANCES = {name: Allowance(AT_ONCE // len(ENDPOINTS), _LEASE) for name in ENDPOINTS}
_POLICY = Policy((timedelta(days=1),) * 99)
_MESSAGES = """
    INSERT INTO message (id, type, notification_id, revision, body, created_at)
    SELECT 'msg_' || n, 'notification.created', md5(n::text)::uuid, 1, '{}', :at - n * interval '1 ms'
    FROM generate_series(cast(:first AS int), cast(:last AS int)) n
"""
_DELIVERIES = """
    INSERT INTO delivery (message_id, endpoint_id, notification_id, revision, status, trigger, attempts, round,
                          next_attempt_at, created_at, delivered_at)
    SELECT 'msg_' || n, e.id, md5(n::text)::uuid, 1, cast(:status AS text), 'first', 0, 0,
           CASE WHEN cast(:status AS text) = 'pending' THEN :at - n * interval '1 ms' END, :at, null
    FROM generate_series(cast(:first AS int), cast(:last AS int)) n
    JOIN endpoint e ON e.id = 1 + n % cast(:endpoints AS int)
"""
"""Each message to one endpoint: what is pending is spread evenly, in a random order of notifications."""


class Cost(NamedTuple):
    """Milliseconds for 500 deliveries."""

    claim: float
    record: float


def prepare(database: Database) -> None:
    """The endpoints, with nothing owed."""
    with database.transaction() as session:
        for name in ENDPOINTS:
            endpoints.register(session, name, AT)


def fill(database: Database, first: int, last: int, status: str, *, tidy: bool = True) -> None:
    """Deliveries and their messages, numbered so. Without foreign keys: the notifications aren't there."""
    span = {"first": first, "last": last, "at": AT}
    with database.transaction() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text(_MESSAGES), span)
        session.execute(text(_DELIVERIES), span | {"status": status, "endpoints": len(ENDPOINTS)})
    if tidy:
        tidy_up(database)


def tidy_up(database: Database) -> None:
    """As autovacuum would leave it."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))


def begin_afresh(database: Database) -> None:
    """Every endpoint has something due, and none fails."""
    with database.transaction() as session:
        session.execute(text(_FRESH_ENDPOINTS), {"at": AT})


_FRESH_ENDPOINTS = """
    UPDATE endpoint SET due_at = :at, failures = 0, failing_since = null, probe_at = null, probes = 0,
                        opening_since = null, slow_until = null, slowed = 0, paced_until = null
"""


def claim(database: Database, now: datetime) -> list[Due]:
    """One claim, as the delivery spine makes it."""
    with database.transaction() as session:
        return claims.claim(session, ALLOWANCES, Slots(AT_ONCE), now)


def record(database: Database, claimed: list[Due], now: datetime) -> None:
    """All of these as failed, in one transaction."""
    outcome = Outcome(wire=Wire.ANSWERED, started_at=now, answered_at=now, duration=timedelta(0), status_code=404)
    attempted = [Attempted(due, outcome, judge(outcome, due, _POLICY, now, Random(1))) for due in claimed]
    with database.transaction() as session:
        recording.record(session, attempted, now)


def round_of(database: Database, now: datetime) -> Cost:
    """One claim and its record; what is claimed goes to the end of what is pending."""
    begin_afresh(database)
    began = time.perf_counter()
    claimed = claim(database, now)
    between = time.perf_counter()
    record(database, claimed, now)
    if len(claimed) != AT_ONCE:
        raise RuntimeError(f"{len(claimed)} were claimed and not {AT_ONCE}")
    return Cost(1000 * (between - began), 1000 * (time.perf_counter() - between))


@contextmanager
def beside(url: str) -> Iterator[Database]:
    """Another database on the same server, for as long as it is needed."""
    name = f"{url.rpartition('/')[2].partition('?')[0]}_few"
    with closing(Database(url)) as first:
        server = first.engine.execution_options(isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        try:
            with closing(Database(first.engine.url.set(database=name).render_as_string(hide_password=False))) as made:
                yield made
        finally:
            with server.connect() as connection:
                connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def measure(url: str, pending: int, delivered: int) -> list[Row]:
    """A claim and a record, in turn in both databases; medians."""
    with closing(Database(url)) as many, beside(url) as few:
        for database, last in ((few, _FEW), (many, pending)):
            schema.migrate(database)
            prepare(database)
            fill(database, 1, last, "pending")
        fill(many, pending + 1, pending + delivered, "delivered")
        moments = [AT + timedelta(days=2 * number) for number in range(ROUNDS)]
        costs = [(round_of(few, now), round_of(many, now)) for now in moments]
    return [_row(place, name, costs, f"{pending:,} pending, {delivered:,} delivered")
            for place, name in enumerate(Cost._fields)]  # fmt: skip


def _row(place: int, name: str, costs: list[tuple[Cost, Cost]], case: str) -> Row:
    few, many = (median(one[place] for one in column) for column in zip(*costs, strict=True))
    told, bar = f"{name}, {case}", f"≤ {AT_MOST:g}× of 1,000 pending"
    return Row("backlog", told, many, few, "ms for 500", many / few, bar, many <= AT_MOST * few)


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database", type=database)
    parser.add_argument("pending", type=positive, nargs="?", default=1_000_000)
    parser.add_argument("delivered", type=positive, nargs="?", default=10_000_000)
    asked = parser.parse_args()
    tell(measure(asked.database, asked.pending, asked.delivered))


if __name__ == "__main__":
    main()
