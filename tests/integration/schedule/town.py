"""A town of sources, ten thousand or ten: their house, a clock, and workers that poll them as fast as they may."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Table, bindparam, event, text, update
from sqlmodel import col, select

from tests.fakes import AT, FakeClock
from worker import terms, wiring
from worker.moment import next_moment
from worker.sandbox.configuration import written
from worker.store.session import Database
from worker.store.tables import Source
from worker.wiring import House

PROVIDER = "bookkeep"
SECOND = timedelta(seconds=1)
EXPIRES = timedelta(seconds=10)
_KEYS = {"provider": PROVIDER, "publishable_key": {"env": "KEY"}, "secret_key": {"env": "KEY"}}
_FERNET = Fernet.generate_key().decode()


def names(count: int) -> list[str]:
    return [f"s{number}" for number in range(count)]


def house(folder: Path, url: str, sources: Mapping[str, Mapping[str, Any]], clock: Callable[[], datetime]) -> House:
    """The house of these sources, not yet moved in; each is given by what it has of its own."""
    file = folder / "town.toml"
    told = {name: {**_KEYS, **own} for name, own in sources.items()}
    file.write_text(written({"database": url, "key": {"env": "SEAL"}}, {"sources": told}), encoding="utf-8")
    return House(wiring.read_settings(file, {"KEY": "a-secret", "SEAL": _FERNET}), clock)


@dataclass
class Town:
    """Sources that are looked through at each tick, and polled in no time."""

    house: House
    clock: FakeClock
    queue: deque[tuple[str, datetime]] = field(default_factory=deque)
    polled: dict[str, list[datetime]] = field(default_factory=dict)

    @property
    def tick(self) -> timedelta:
        return terms.ticks(self.house.settings)[PROVIDER]

    def goes_on(self, lasting: timedelta, polls_a_tick: int) -> None:
        """Tick by tick: what is due is queued, as many as that are polled, and what waited for too long is dropped."""
        until, tick = self.clock() + lasting, self.tick / SECOND
        while self.clock() < until:
            self.queue.extend((name, self.clock() + EXPIRES) for name in self.house.due_sources(PROVIDER))
            while self.queue and self.queue[0][1] <= self.clock():
                self.queue.popleft()
            self.poll([self.queue.popleft()[0] for _ in range(min(polls_a_tick, len(self.queue)))])
            self.clock.turn(seconds=tick)

    def poll(self, polled: Sequence[str]) -> None:
        """What a good poll of each leaves behind."""
        now = self.clock()
        for name in polled:
            self.polled.setdefault(name, []).append(now)
        moments = {name: next_moment(name, self.house.schedule(name), now) for name in polled}
        self.put(moments, queued_until=None, last_poll_at=now, covered_until=now)

    def put(self, moments: Mapping[str, datetime], **values: object) -> None:
        """When sources are due, all at once."""
        table: Table = Source.__table__  # type: ignore[attr-defined]
        due = bindparam("moment", type_=table.c.next_poll_at.type)
        put = update(table).where(table.c.name == bindparam("of")).values(next_poll_at=due, **values)
        if moments:
            with self.house.database.transaction() as session:
                rows = [{"of": name, "moment": moment} for name, moment in moments.items()]
                session.connection().execute(put, rows)

    def wait_for_their_moments(self) -> None:
        """As after a first round of polls."""
        sources = self.house.settings.sources
        self.put({name: next_moment(name, self.house.schedule(name), self.clock()) for name in sources})

    def only_these_are_due(self, count: int) -> None:
        """The first so many; the others in an hour."""
        later = self.clock() + timedelta(hours=1)
        every = names(len(self.house.settings.sources))
        self.put({name: self.clock() if place < count else later for place, name in enumerate(every)})
        with self.house.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))

    def moment(self, name: str) -> datetime:
        with self.house.database.reading() as session:
            return session.exec(select(Source.next_poll_at).where(col(Source.name) == name)).one()


@contextmanager
def town(folder: Path, url: str, count: int) -> Iterator[Town]:
    """So many sources on `every = "5m"`, just registered: all of them are due."""
    clock = FakeClock(AT)
    home = house(folder, url, {name: {"every": "5m"} for name in names(count)}, clock)
    try:
        home.move_in()
        yield Town(home, clock)
    finally:
        home.close()


@contextmanager
def instructions(database: Database) -> Iterator[list[int]]:
    """How many instructions SQLite's machine runs meanwhile, for each statement."""
    counts: list[int] = []

    def step() -> None:
        counts[-1] += 1

    def begin(connection: Connection, *_: object) -> None:
        counts.append(0)
        _sqlite(connection).set_progress_handler(step, 1)

    event.listen(database.engine, "before_cursor_execute", begin)
    try:
        yield counts
    finally:
        event.remove(database.engine, "before_cursor_execute", begin)
        with database.engine.connect() as connection:
            _sqlite(connection).set_progress_handler(None, 1)


def _sqlite(connection: Connection) -> sqlite3.Connection:
    own = connection.connection.driver_connection
    assert isinstance(own, sqlite3.Connection)
    return own


def plans(database: Database, said: Sequence[tuple[str, Any]]) -> list[str]:
    """PostgreSQL's plans of these statements, with their parameters."""
    with database.engine.connect() as connection:
        return [
            "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {one}", values)) for one, values in said
        ]


@contextmanager
def spoken(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is said to the database meanwhile: each statement with its parameters."""
    said: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        said.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(database.engine, "before_cursor_execute", hear)
