"""A past to be replayed: messages made at moments of a test's choice, and short ways to owe them again."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, update

from tests.fakes import AT, item
from tests.integration.store.desk import Desk
from worker.interest import Interest
from worker.replay import Survey, replay, survey
from worker.store import endpoints
from worker.store.replays import Asked, Extent, Standing
from worker.store.tables import Delivery, Message, Replay

SECOND = timedelta(seconds=1)
LATER = AT + timedelta(hours=1)
"""When somebody types `tocsin replay`."""
ALL = Asked(AT)
NOTHING: tuple[Interest, ...] = ()


@dataclass
class Past:
    """A desk whose clock tells of the past, until LATER."""

    desk: Desk
    interest: Interest = field(default_factory=lambda: Interest("erp"))

    def store(self, name: str, state: str = "new", second: float = 0, *, told: bool = True, **more: Any) -> str:
        """One message, made so many seconds after AT, owed to `erp` if `told`; its id."""
        made_at = AT + timedelta(seconds=second)
        interests = [self.interest] if told else NOTHING
        (revision,) = self.desk.store(item(name, state, **more), interests=interests, now=made_at).revisions
        return revision.message_id

    def some(self, count: int, *, told: bool = True) -> list[str]:
        """So many messages, a second apart."""
        return [self.store(f"n{number}", second=number, told=told) for number in range(count)]

    def survey(self, asked: Asked = ALL, now: datetime = LATER) -> Survey:
        return survey(self.desk.database, self.interest, asked, now)

    def steps(
        self,
        asked: Asked = ALL,
        portion: int = 1000,
        now: datetime = LATER,
    ) -> Generator[Extent, None, None]:
        """A replay, commit by commit."""
        return replay(self.desk.database, self.survey(asked, now), lambda: now, portion)

    def replay(self, asked: Asked = ALL, portion: int = 1000, now: datetime = LATER) -> Extent:
        """A whole one."""
        return list(self.steps(asked, portion, now))[-1]

    def only(self, standing: str) -> Asked:
        return Asked(AT, standing=Standing(standing))

    def wants(self, **filters: Any) -> None:
        """The endpoint's filters, as they are configured from now on."""
        self.interest = replace(self.interest, **filters)

    def disabled(self) -> None:
        with self.desk.database.transaction() as session:
            endpoints.disable(session, "erp", "by hand", AT)

    def enabled(self) -> None:
        with self.desk.database.transaction() as session:
            endpoints.enable(session, "erp", LATER)

    @property
    def owed(self) -> set[str]:
        """The messages that are pending now by this replay."""
        return {row.message_id for row in self.desk.deliveries() if (row.status, row.trigger) == ("pending", "replay")}

    @property
    def rows(self) -> list[Replay]:
        return self.desk.rows(Replay)

    @property
    def messages(self) -> list[Message]:
        return self.desk.rows(Message)


def made(session: Session, message_id: str, at: datetime) -> None:
    """As a worker with another clock would have made it."""
    session.execute(update(Message).where(col(Message.id) == message_id).values(created_at=at))


def of(rows: list[Delivery], message_id: str) -> Delivery:
    (row,) = [row for row in rows if row.message_id == message_id]
    return row
