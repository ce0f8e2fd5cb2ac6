"""What a notification costs: processor, log and disk, from a decoded page to a delivery's recorded attempt.

    .venv/bin/python -m benchmarks.scale postgresql+psycopg://user:password@host/name [NOTIFICATIONS] [ENDPOINTS]

Wants an empty database on this machine, with superuser's rights. Pages of 100 are taken in as a poll does, then all
that is owed is claimed and recorded as a sweep does, with a sender that answers at once and a log that nobody keeps;
then the same pages come again. So it is our part and the database's, in one process and one connection. The part of the
network, requests to a provider and the POST, is not in it; `docs/scale.md` takes that from measured building blocks.
"""

import os
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, cast

import orjson
import psutil  # type: ignore[import-untyped]
from cryptography.fernet import Fernet
from sqlalchemy import text

from tests.words import database, positive
from worker import deliver, intake, logs, wiring
from worker.delivery import Due, Outcome, Wire
from worker.sandbox.configuration import written
from worker.store import schema, sources
from worker.webhooks.sender import Sender
from worker.wiring import House

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
PAGE = 100
_ROOM = 500
_KEY = {"env": "KEY"}
_TABLES = ("notification", "message", "delivery", "attempt")


class Cost(NamedTuple):
    """Seconds by the wall, of the client's processor, of the server's; bytes of its log."""

    wall: float
    client: float
    server: float
    log: int


class AnswersAtOnce:
    """In a Sender's place: whatever is begun has ended well."""

    limit = _ROOM

    def __init__(self) -> None:
        self._open: list[Due] = []

    @property
    def room(self) -> int:
        """How many more may be begun."""
        return _ROOM - len(self._open)

    @property
    def open(self) -> int:
        """How many have not been given back."""
        return len(self._open)

    @property
    def open_by_endpoint(self) -> Mapping[str, int]:
        """The same, of each endpoint."""
        return Counter(due.endpoint for due in self._open)

    def begin(self, batch: Sequence[Due]) -> None:
        """Send these."""
        self._open.extend(batch)

    def finished(self, _wait: timedelta) -> list[tuple[Due, Outcome]]:
        """All that were begun."""
        ended, self._open = self._open, []
        taken = Outcome(wire=Wire.ANSWERED, started_at=AT, answered_at=AT, duration=timedelta(0), status_code=204)
        return [(due, taken) for due in ended]


@dataclass(frozen=True)
class Bench:
    """A house, and its database as seen from outside."""

    home: House

    def ask(self, statement: str) -> int:
        """One number."""
        with self.home.database.engine.connect() as connection:
            return int(connection.execute(text(statement)).scalar() or 0)

    def _server_s(self) -> float:
        postmaster = psutil.Process(self.ask("SELECT pg_backend_pid()")).parent()
        return sum(sum(each.cpu_times()[:2]) for each in postmaster.children())

    def _log(self) -> int:
        return self.ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")

    def cost(self, what: Iterator[object]) -> Cost:
        """What it takes to go through that."""
        before = time.perf_counter(), time.process_time(), self._server_s(), self._log()
        for _ in what:
            pass
        after = time.perf_counter(), time.process_time(), self._server_s(), self._log()
        wall, client, server, log = (late - early for late, early in zip(after, before, strict=True))
        return Cost(wall, client, server, int(log))

    def settle(self) -> None:
        """As autovacuum leaves it, which comes within a minute or so."""
        with self.home.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))

    def take_in(self, pages: Sequence[bytes]) -> Iterator[object]:
        """Each page, decoded, in a transaction of its own."""
        subscription = self.home.subscription("registrar")
        with self.home.database.transaction() as session:
            lease = sources.acquire(session, "registrar", AT, only_due=False)
        if lease is None:
            raise RuntimeError("somebody else polls it")
        for page in pages:
            with self.home.database.transaction() as session:
                yield intake.take_in(session, subscription, lease, orjson.loads(page), AT)
        with self.home.database.transaction() as session:
            sources.put_back(session, lease.token)

    def deliver(self) -> Iterator[object]:
        """All that is owed."""
        sender = cast("Sender", AnswersAtOnce())
        yield deliver.deliver_due(self.home.outbox, sender, self.home.rules(AT + timedelta(days=1)))


def pages(count: int) -> list[bytes]:
    """As Realtime Register gives them."""
    rows = [
        {
            "id": number + 1,
            "fireDate": f"{AT + timedelta(milliseconds=number):%Y-%m-%dT%H:%M:%S.%fZ}",
            "acknowledgeDate": f"{AT + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}",
            "eventType": "TransferDomainEvent",
            "message": f"Transfer of 'example-{number}.nl' was approved by the current domain name holder",
            "process": number * 7,
            "processIdentifier": f"example-{number}.nl",
            "processType": "transfer",
        }
        for number in range(count)
    ]
    return [orjson.dumps(rows[first : first + PAGE]) for first in range(0, count, PAGE)]


def house(folder: Path, url: str, endpoints: int) -> House:
    """One source, and so many endpoints that want all."""
    source = {"provider": "realtime_register", "customer": "acme", "api_key": _KEY, "start_at": "beginning"}
    wanted = {f"e{number}": {"url": "https://example.com/", "max_in_flight": _ROOM} for number in range(endpoints)}
    file = folder / "tocsin.toml"
    tables = {"sources": {"registrar": source}, "endpoints": wanted}
    file.write_text(written({"database": url, "key": {"env": "SEAL"}}, tables), encoding="utf-8")
    environ = {"KEY": "a-secret", "SEAL": Fernet.generate_key().decode()}
    home = House(wiring.read_settings(file, environ), lambda: AT)
    schema.migrate(home.database)
    home.move_in()
    return home


def tell(name: str, cost: Cost, count: int) -> None:
    """One line."""
    print(f"{name}: {count / cost.wall:,.0f}/s; {1000 * cost.client / count:.3f} ms of client, "
          f"{1000 * cost.server / count:.3f} ms of server, {cost.log / count:,.0f} bytes of log each")  # fmt: skip


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database", type=database)
    parser.add_argument("count", type=positive, nargs="?", default=50_000)
    parser.add_argument("endpoints", type=positive, nargs="?", default=2)
    asked = parser.parse_args()
    with Path(os.devnull).open("w", encoding="utf-8") as nobody:
        logs.configure(nobody, json=True, level="info")
        measure(asked.database, asked.count, asked.endpoints)


def measure(url: str, count: int, endpoints: int) -> None:
    """The figures, a line each."""
    with TemporaryDirectory() as folder, closing(house(Path(folder), url, endpoints)) as home:
        bench, given = Bench(home), pages(count)
        tell("stored, a notification", bench.cost(bench.take_in(given)), count)
        bench.settle()
        tell("delivered but for the wire, a delivery", bench.cost(bench.deliver()), count * endpoints)
        tell("seen again, a row", bench.cost(bench.take_in(given)), count)
        for table in _TABLES:
            size = bench.ask(f"SELECT pg_total_relation_size('{table}')")
            heap = bench.ask(f"SELECT pg_relation_size('{table}')")
            print(f"{table}: {size / count:,.0f} bytes a notification, {heap / count:,.0f} of them without indexes")
        print(f"all: {bench.ask('SELECT pg_database_size(current_database())') / count:,.0f} bytes a notification")


if __name__ == "__main__":
    main()
