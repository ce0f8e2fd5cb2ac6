"""A line from a scripted provider to a scripted receiver, over a real store."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from sqlmodel import SQLModel

from tests.fakes import FakeClock, FakeSender, ScriptedProvider
from tests.integration.store.desk import SCHEDULE, Desk
from worker import deliver, poll
from worker.deliver import Outbox, Rules
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.moment import Schedule
from worker.notification import Item
from worker.progress import PollSummary
from worker.store.tables import Attempt, Delivery, Message, NotificationRow, PollRun, Source
from worker.webhooks.sender import Sender
from worker.webhooks.verdict import Policy

EVERY = timedelta(minutes=5)
OVERLAP = timedelta(minutes=10)
TRACK_FOR = timedelta(days=30)


@dataclass
class Line:
    desk: Desk
    clock: FakeClock
    random: Random
    stopping: Callable[[], bool] = lambda: False
    held: set[str] = field(default_factory=set)
    every: timedelta = EVERY
    owed: Callable[[], None] = lambda: None

    def poll(self, provider: ScriptedProvider, *, only_due: bool = False) -> PollSummary | None:
        interests = tuple(Interest(name) for name in self.desk.limits)
        subscription = Subscription(
            source="books",
            provider=provider,
            schedule=Schedule(self.every),
            overlap=OVERLAP,
            track_for=TRACK_FOR,
            interests=interests,
        )
        world = Surroundings(self.desk.database, self.clock, self.random, self.stopping, self.held, owed=self.owed)
        return poll.poll(subscription, world, only_due=only_due)

    def fails(self, provider: ScriptedProvider, *expected: type[Exception]) -> None:
        """Poll, and expect it to fail so."""
        with suppress(*expected):
            self.poll(provider)
            raise AssertionError("it did not fail")

    def deliver(
        self,
        sender: FakeSender | Sender,
        may_begin: Callable[[], bool] = lambda: True,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> int:
        policies = {name: Policy(SCHEDULE) for name in self.desk.limits}
        rules = Rules(policies=policies, random=self.random, clock=self.clock, may_begin=may_begin, is_ending=is_ending)
        outbox = Outbox(database=self.desk.database, allowances=self.desk.limits)
        sending = sender if isinstance(sender, Sender) else sender.as_sender
        return deliver.deliver_due(outbox, sending, rules)

    @property
    def source(self) -> Source:
        return self.desk.source_row()

    @property
    def known(self) -> set[str]:
        return {row.external_id for row in self.desk.rows(NotificationRow)}

    @property
    def runs(self) -> list[PollRun]:
        return self.desk.rows(PollRun)

    def everything(self) -> list[list[SQLModel]]:
        """Every row that a poll or a delivery may write."""
        models: tuple[type[SQLModel], ...] = (Source, NotificationRow, Message, Delivery, Attempt, PollRun)
        return [self.desk.rows(model) for model in models]


def ids(*items: Item) -> set[str]:
    return {item["id"] for item in items}
