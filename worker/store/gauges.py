"""What metrics show of the database at a moment: how far each source is, what waits for each endpoint, the last sweep.

The cost grows with what is pending, exhausted and rejected, for that is counted; whoever asks often keeps an answer for
a while.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus
from worker.store import heartbeats
from worker.store.session import Database
from worker.store.tables import Delivery, EndpointRow, RejectedRow, Source
from worker.store.tables.columns import PENDING


@dataclass(frozen=True, slots=True)
class SourceGauge:
    """`covered_until`: everything up to then has been read; where nothing was yet, when the source was first known."""

    name: str
    covered_until: datetime
    failures: int
    paused: bool
    rejected: int


@dataclass(frozen=True, slots=True)
class EndpointGauge:
    """What is owed to an endpoint, since when the oldest of it waits, what was given up, and since when it fails."""

    name: str
    pending: int
    oldest_pending_at: datetime | None
    exhausted: int
    failures: int
    failing_since: datetime | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class Gauges:
    """One look at the database. `last`: when what must happen again and again last did (worker/store/heartbeats.py)."""

    sources: Sequence[SourceGauge]
    endpoints: Sequence[EndpointGauge]
    last: Mapping[str, datetime]


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
        select(source.id, source.name, source.covered_until, source.created_at, source.failures, source.paused_at)  # type: ignore[call-overload]
    ).all()
    rejected = dict(
        session.exec(select(RejectedRow.source_id, func.count()).group_by(col(RejectedRow.source_id))).all()
    )
    counted = (
        select(Delivery.endpoint_id, func.count(), func.min(Delivery.created_at))
        .where(PENDING)
        .group_by(col(Delivery.endpoint_id))
    )
    pending = {of: (count, oldest) for of, count, oldest in session.execute(counted).all()}
    given_up = (
        select(Delivery.endpoint_id, func.count())
        .where(col(Delivery.status) == DeliveryStatus.EXHAUSTED.value)
        .group_by(col(Delivery.endpoint_id))
    )
    exhausted = dict(session.exec(given_up).all())
    endpoints = session.exec(select(EndpointRow)).all()
    return Gauges(
        [
            SourceGauge(name, covered or created, failures, paused is not None, rejected.get(of, 0))
            for of, name, covered, created, failures, paused in sources
        ],
        [_endpoint(row, pending.get(row.id or 0, (0, None)), exhausted.get(row.id or 0, 0)) for row in endpoints],
        heartbeats.known(session),
    )


def _endpoint(row: EndpointRow, pending: tuple[int, datetime | None], exhausted: int) -> EndpointGauge:
    return EndpointGauge(
        name=row.name,
        pending=pending[0],
        oldest_pending_at=pending[1],
        exhausted=exhausted,
        failures=row.failures,
        failing_since=row.failing_since,
        disabled=row.disabled_at is not None,
    )
