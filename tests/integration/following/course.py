"""A source that is polled again and again over a model, as time goes by without anybody waiting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random

from sqlalchemy import event
from sqlmodel import col, select

from tests.fakes import AT, FakeClock
from tests.integration.store.desk import Desk
from tests.model import Model, ModelProvider
from worker import poll
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.moment import Schedule
from worker.progress import Pass, PollSummary
from worker.provider import Contract
from worker.store.session import Database
from worker.store.tables import BucketRow, Delivery, Message, NotificationRow, Source

EVERY = timedelta(minutes=5)
OVERLAP = timedelta(minutes=10)
TRACK_FOR = timedelta(days=30)
DAY = timedelta(days=1)


@dataclass
class Course:
    """The model, its source `books`, the endpoint `erp`, and the clock that both go by."""

    desk: Desk
    clock: FakeClock
    model: Model
    every: timedelta = EVERY
    stopping: Callable[[], bool] = lambda: False
    random: Random = field(default_factory=lambda: Random(5))
    cut_short: dict[str, Pass] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.live, self.later = ModelProvider(self.model), ModelProvider(self.model)

    @classmethod
    def begun(cls, database: Database, contract: Contract, start_at: datetime | None = None) -> "Course":
        clock = FakeClock()
        desk = Desk(database, AT)
        desk.source(start_at=start_at)
        desk.endpoint("erp")
        return cls(desk, clock, Model(contract, clock))

    @property
    def subscription(self) -> Subscription:
        return Subscription(
            source="books",
            provider=self.live,
            patient=self.later,
            schedule=Schedule(self.every),
            overlap=OVERLAP,
            track_for=TRACK_FOR,
            interests=(Interest("erp"),),
        )

    def poll(self) -> PollSummary:
        """One poll, now."""
        world = Surroundings(self.desk.database, self.clock, self.random, self.stopping, cut_short=self.cut_short)
        summary = poll.poll(self.subscription, world, only_due=False)
        assert summary is not None
        return summary

    def polls(self, span: timedelta) -> None:
        """Poll every `every` for so long."""
        for _ in range(span // self.every):
            self.clock.at += self.every
            self.poll()

    def leap(self, span: timedelta, until: Callable[[], bool] = lambda: False) -> None:
        """Poll only when something is due, for so long, or until it is so: other polls find nothing to do.

        A poll is at a whole number of `every` from AT.
        """
        end = self.clock.at + span
        while self.clock.at < end and not until():
            self.clock.at = self.next_poll(end)
            self.poll()

    def next_poll(self, end: datetime) -> datetime:
        """The first moment to poll at when a bucket is due, or at which `end` has come."""
        with self.desk.database.reading() as session:
            due = session.exec(select(BucketRow.look_again_at).order_by(col(BucketRow.look_again_at))).first()
        numbers = (self.clock.at - AT) // self.every, -((AT - min(due or end, end)) // self.every)
        return AT + self.every * max(numbers[0] + 1, numbers[1])

    @property
    def buckets(self) -> list[BucketRow]:
        return sorted(self.desk.rows(BucketRow), key=lambda row: (not row.dated, row.start_at))

    @property
    def source(self) -> Source:
        return self.desk.source_row()

    @property
    def known(self) -> set[str]:
        return {row.external_id for row in self.desk.rows(NotificationRow)}

    def row(self, identity: str) -> NotificationRow:
        with self.desk.database.reading() as session:
            return session.exec(select(NotificationRow).where(col(NotificationRow.external_id) == identity)).one()

    def told(self, identity: str) -> list[str]:
        """What was told of a notification, in order: the types of its messages, without `notification.`."""
        return [message.type.removeprefix("notification.") for message in self.messages(identity)]

    def messages(self, identity: str) -> list[Message]:
        row = self.row(identity)
        with self.desk.database.reading() as session:
            mine = select(Message).where(col(Message.notification_id) == row.id).order_by(col(Message.revision))
            return list(session.exec(mine).all())

    def owed(self, identity: str) -> list[tuple[str, str, str | None]]:
        """What is owed of a notification: type, status and reason of each delivery."""
        row = self.row(identity)
        with self.desk.database.reading() as session:
            mine = select(Message.type, Delivery.status, Delivery.reason).join(
                Delivery, col(Delivery.message_id) == col(Message.id)
            )
            found = session.exec(mine.where(col(Delivery.notification_id) == row.id).order_by(col(Delivery.revision)))
            return [(kind.removeprefix("notification."), status, reason) for kind, status, reason in found.all()]

    def aged(self, age: timedelta, *identities: str) -> None:
        """Notifications that were new so long ago, polled ever since, with one more above them to move the mark."""
        for identity in identities:
            self.model.put(identity)
        self.poll()
        self.clock.at += OVERLAP * 2
        self.model.put("mark")
        self.poll()
        self.leap(age - OVERLAP * 2)

    def bound(self, age: timedelta) -> timedelta:
        """Within what time a change of that age is seen (POLLING, section 4)."""
        return min(max(age / 10, self.every), DAY) + self.every

    def everything(self) -> list[object]:
        """Every row that following may write, as text."""
        models = (Source, NotificationRow, BucketRow, Message, Delivery)
        return [repr(row) for model in models for row in self.desk.rows(model)]


class KilledError(Exception):
    """The process was killed."""


@contextmanager
def killed(database: Database, at: int) -> Iterator[None]:
    """Kill the process before it begins that transaction, counted from 1: it begins no other."""
    begun = count(1)

    def kill(*_: object) -> None:
        if next(begun) >= at:
            raise KilledError

    event.listen(database.engine, "begin", kill)
    try:
        yield
    finally:
        event.remove(database.engine, "begin", kill)
