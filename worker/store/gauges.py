"""What metrics show of the database at a moment: how far each source is, and what waits for each endpoint.

The cost grows with what is pending, for that is counted; whoever asks often keeps an answer for a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from worker.store.session import Database
from worker.store.tables import Delivery, EndpointRow, Source
from worker.store.tables.columns import PENDING


@dataclass(frozen=True, slots=True)
class SourceGauge:
    """`covered_until`: everything up to then has been read; where nothing was yet, when the source was first known."""

    name: str
    covered_until: datetime
    failures: int
    paused: bool


@dataclass(frozen=True, slots=True)
class EndpointGauge:
    """What is owed to an endpoint, since when the oldest of it waits, and since when it fails."""

    name: str
    pending: int
    oldest_pending_at: datetime | None
    failures: int
    failing_since: datetime | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class Gauges:
    """One look at the database."""

    sources: Sequence[SourceGauge]
    endpoints: Sequence[EndpointGauge]


def look(database: Database) -> Gauges | None:
    """One look; None where the database can't be read."""
    try:
        with database.reading() as session:
            return read(session)
    except SQLAlchemyError:
        return None


def read(session: Session) -> Gauges:
    """What is known at this point of the transaction. Every source and endpoint that was ever configured is in it."""
    source = Source
    sources = session.execute(
        select(source.name, source.covered_until, source.created_at, source.failures, source.paused_at)  # type: ignore[call-overload]
    ).all()
    counted = (
        select(Delivery.endpoint_id, func.count(), func.min(Delivery.created_at))
        .where(PENDING)
        .group_by(col(Delivery.endpoint_id))
    )
    pending = {of: (count, oldest) for of, count, oldest in session.execute(counted).all()}
    endpoints = session.exec(select(EndpointRow)).all()
    return Gauges(
        [
            SourceGauge(name, covered or created, failures, paused is not None)
            for name, covered, created, failures, paused in sources
        ],
        [_endpoint(row, *pending.get(row.id or 0, (0, None))) for row in endpoints],
    )


def _endpoint(row: EndpointRow, pending: int, oldest: datetime | None) -> EndpointGauge:
    return EndpointGauge(row.name, pending, oldest, row.failures, row.failing_since, row.disabled_at is not None)
