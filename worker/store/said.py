"""What endpoints were told of sources, so that nothing is said twice: who waits in vain, and who is said to fail."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlmodel import Session, col

from worker.store.tables import Source

_SO_FAR = (
    select(col(Source.said_failing_at), col(Source.paused_at))
    .where(col(Source.id) == bindparam("source"))
    .with_for_update(key_share=True)
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A source that waits for a worker longer than it should; `covered_until` None: it was never complete."""

    name: str
    covered_until: datetime | None
    created_at: datetime


def waiting(session: Session, now: datetime) -> list[Waiting]:
    """The sources that were sent to a worker in vain, and are not known to fail; those that wait longest come first."""
    columns = (col(Source.name), col(Source.covered_until), col(Source.created_at))
    in_vain = (col(Source.queued_until) <= now, col(Source.next_poll_at) <= now, *_unsaid())
    found = session.execute(select(*columns).where(*in_vain).order_by(col(Source.next_poll_at), col(Source.id))).all()
    return [Waiting(*line) for line in found]


def say_failing(session: Session, name: str, now: datetime) -> bool:
    """Remember that this source is said to fail. False: another process was quicker."""
    said = update(Source).where(col(Source.name) == name, *_unsaid()).values(said_failing_at=now)
    return session.execute(said.returning(col(Source.id))).first() is not None


def so_far(session: Session, source_id: int) -> tuple[datetime | None, datetime | None]:
    """When it was said to fail, and since when it is paused; its row is locked from here on."""
    said_failing_at, paused_at = session.connection().execute(_SO_FAR, {"source": source_id}).one()
    return said_failing_at, paused_at


def _unsaid() -> tuple[ColumnElement[bool], ...]:
    return (col(Source.said_failing_at).is_(None), col(Source.paused_at).is_(None), col(Source.failures) == 0)
