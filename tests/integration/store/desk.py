"""A desk to work with the store from: short ways to do what poll and delivery do, and to see what is there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from sqlalchemy import event, update
from sqlmodel import SQLModel, col, select

from tests.fakes import ScriptedProvider, answered
from worker.delivery import Attempted, Due, Outcome
from worker.intake import normalise_all
from worker.interest import Interest
from worker.settings import Rate
from worker.store import claims, endpoints, notifications, outbox, recording, roster
from worker.store.conditions import Watch
from worker.store.notifications import Stored
from worker.store.outbox import Stream
from worker.store.rooms import Allowance, Slots
from worker.store.roster import Configured
from worker.store.session import Database
from worker.store.tables import Delivery, EndpointRow, Source
from worker.webhooks.verdict import Policy, judge

Row = TypeVar("Row", bound=SQLModel)
LEASE = timedelta(seconds=45)
SCHEDULE = (timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30))


@dataclass
class Desk:
    """The store of one source, `books`, and some endpoints. Everything takes `now`."""

    database: Database
    now: datetime
    random: Random = field(default_factory=lambda: Random(7))
    limits: dict[str, Allowance] = field(default_factory=dict)

    def source(self, name: str = "books", start_at: datetime | None = None) -> int:
        with self.database.transaction() as session:
            told = Configured(name=name, provider="scripted", start_at=start_at, schedule="every 5m", moment=self.now)
            roster.register(session, [told], self.now)
        with self.database.reading() as session:
            return session.exec(select(Source.id).where(Source.name == name)).one() or 0

    def endpoint(self, name: str, max_in_flight: int = 1000, rate: Rate | None = None) -> None:
        with self.database.transaction() as session:
            endpoints.register(session, name, self.now)
        self.limits[name] = Allowance(max_in_flight, LEASE, rate)

    def store(
        self,
        *items: Any,
        source: str = "books",
        interests: Sequence[Interest] | None = None,
        now: datetime | None = None,
    ) -> Stored:
        """One page, as the poll spine stores it; wanted by every endpoint unless told otherwise."""
        at = now or self.now
        fit, unfit = normalise_all(ScriptedProvider(), items, at)
        assert not unfit
        if interests is None:
            interests = [Interest(name) for name in self.limits]
        with self.database.transaction() as session:
            row = session.exec(select(Source).where(Source.name == source)).one()
            given = [(each.notification.external_id, each.content_hash) for each in fit]
            differing = notifications.look_up(session, row.id or 0, source, given)
            stored = notifications.store_page(session, differing, fit, at)
            outbox.owe(session, Stream(row.id or 0, source, "scripted", row.start_at), stored, interests, at)
        return stored

    def claim(self, most: int = 10_000, now: datetime | None = None) -> list[Due]:
        with self.database.transaction() as session:
            return claims.claim(session, self.limits, Slots(most), now or self.now)

    def judged(self, due: Due, outcome: Outcome | int, now: datetime | None = None) -> Attempted:
        at = now or self.now
        found = answered(outcome, at) if isinstance(outcome, int) else outcome
        return Attempted(due, found, judge(found, due, Policy(SCHEDULE), at, self.random))

    def record(self, attempted: Sequence[Attempted], now: datetime | None = None) -> list[Attempted]:
        with self.database.transaction() as session:
            latest = frozenset(name for name, limits in self.limits.items() if limits.latest)
            return recording.record(session, attempted, now or self.now, Watch(latest=latest))

    def deliver(self, status: int = 200, most: int = 10_000) -> list[str]:
        """Claim, be answered so, record; the messages' ids in the order of the claim."""
        due = self.claim(most)
        self.record([self.judged(one, status) for one in due])
        return [one.message_id for one in due]

    def redeliver(self, *ids: int, now: datetime | None = None) -> list[int]:
        with self.database.transaction() as session:
            return outbox.redeliver(session, ids, now or self.now)

    def rows(self, model: type[Row]) -> list[Row]:
        with self.database.reading() as session:
            return list(session.exec(select(model).order_by(*model.__table__.primary_key.columns)).all())  # type: ignore[attr-defined]

    def deliveries(self) -> list[Delivery]:
        return self.rows(Delivery)

    def endpoint_row(self, name: str) -> EndpointRow:
        with self.database.reading() as session:
            return session.exec(select(EndpointRow).where(EndpointRow.name == name)).one()

    def source_row(self, name: str = "books") -> Source:
        with self.database.reading() as session:
            return session.exec(select(Source).where(Source.name == name)).one()

    def change(self, model: type[SQLModel], values: Mapping[str, Any], **where: Any) -> None:
        """Rows as time or another process would have left them."""
        with self.database.transaction() as session:
            conditions = [col(getattr(model, name)) == value for name, value in where.items()]
            session.execute(update(model).where(*conditions).values(**values))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is said to the database meanwhile, but for the ways into a transaction and back."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            said.append(statement)

    event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(database.engine, "before_cursor_execute", hear)


@contextmanager
def parameters(database: Database) -> Iterator[list[int]]:
    """How many parameters each statement has meanwhile: databases take only so many."""
    counts: list[int] = []

    def count(_connection: object, _cursor: object, _statement: str, values: Any, *_: object) -> None:
        counts.append(len(values))

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        yield counts
    finally:
        event.remove(database.engine, "before_cursor_execute", count)


class PowerCutError(Exception):
    """The power was cut."""


@contextmanager
def power_cut(database: Database, at: int) -> Iterator[None]:
    """Cut the power right before that statement, counted from 1."""
    left = at

    def cut(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise PowerCutError

    event.listen(database.engine, "before_cursor_execute", cut)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", cut)
