"""A source that is polled, a provider that can be told, and endpoints that are told."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from tests.fakes import FakeClock, ScriptedProvider, Step
from tests.integration.store.desk import Desk
from worker import announce, poll, report
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.moment import Schedule
from worker.progress import PollSummary
from worker.provider import Contract
from worker.settings import Acknowledge
from worker.store import fates, sources
from worker.store.tables import Message, NotificationRow, Source

EVERY = timedelta(minutes=5)


class Tellable(ScriptedProvider):
    """One that can be told what we hold; `told` are its requests, and `meanwhile` happens when one comes."""

    contract: ClassVar[Contract] = replace(ScriptedProvider.contract, acknowledges=True)

    def __init__(self, *passes: Sequence[Step], meanwhile: Callable[[list[str]], object] = lambda _: None) -> None:
        super().__init__(*passes)
        self.told: list[list[str]] = []
        self.meanwhile = meanwhile

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        self.told.append(list(external_ids))
        self.meanwhile(list(external_ids))

    @property
    def all_told(self) -> list[str]:
        return [external_id for told in self.told for external_id in told]


@dataclass
class Stand:
    desk: Desk
    clock: FakeClock
    interests: list[Interest]
    acknowledge: Acknowledge = "never"
    stopping: Callable[[], bool] = lambda: False
    schedule: Schedule = field(default_factory=lambda: Schedule(EVERY))

    def subscription(self, provider: ScriptedProvider | None = None) -> Subscription:
        return Subscription(
            source="books",
            provider=provider or ScriptedProvider(),
            schedule=self.schedule,
            overlap=timedelta(minutes=10),
            track_for=timedelta(days=30),
            interests=tuple(self.interests),
            acknowledge=self.acknowledge,
        )

    def poll(self, provider: ScriptedProvider) -> PollSummary | None:
        world = Surroundings(self.desk.database, self.clock, Random(3), self.stopping)
        return poll.poll(self.subscription(provider), world, only_due=False)

    def fails(self, provider: ScriptedProvider, *expected: type[Exception]) -> None:
        """Poll, and expect it to fail so."""
        with suppress(*expected):
            self.poll(provider)
            raise AssertionError("it did not fail")

    def tick(self) -> list[str]:
        """What a tick does: say who lags, then send to the workers what is due."""
        said = announce.lagging(self.desk.database, {"books"}, lambda _: self.subscription(), self.clock())
        with self.desk.database.transaction() as session:
            sources.queue_due(session, ["books"], self.clock())
        return said

    @property
    def source(self) -> Source:
        return self.desk.source_row()

    @property
    def row(self) -> dict[str, Any]:
        """The source's row, as `tocsin sources list --json` has it."""
        with self.desk.database.reading() as session:
            fate = fates.of_sources(session)["books"]
        return report.source_row("books", fate, self.schedule, self.clock())

    @property
    def said(self) -> list[tuple[str, str]]:
        """The operational messages so far: type, and the source's status in it."""
        return [(message["type"], message["data"]["status"]) for message in self.messages]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Their bodies, in the order in which they were made."""
        rows = [row for row in self.desk.rows(Message) if row.type.startswith("source.")]
        return [json.loads(row.body) for row in sorted(rows, key=lambda row: row.created_at)]

    @property
    def acknowledged(self) -> dict[str, datetime]:
        rows = self.desk.rows(NotificationRow)
        return {row.external_id: row.acknowledged_at for row in rows if row.acknowledged_at}
