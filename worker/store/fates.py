"""How sources and endpoints fare: counts and clocks, as `status` shows them (INTERFACE, section 3)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus, Trigger
from worker.store.tables import Delivery, EndpointRow, NotificationRow, RejectedRow, Source

_FOLLOWED = col(NotificationRow.followed).is_(True)
_NO_TEST = col(Delivery.trigger) != Trigger.TEST.value


@dataclass(frozen=True, slots=True)
class SourceFate:
    """A source's row and what there is of it: notifications, those that are still open, and rejected items."""

    row: Source
    notifications: int
    open: int
    rejected: int


@dataclass(frozen=True, slots=True)
class EndpointFate:
    """An endpoint's row, its deliveries by status, and since when the oldest pending one waits; tests left out."""

    row: EndpointRow
    deliveries: dict[str, int]
    oldest_pending_at: datetime | None


def of_sources(session: Session) -> dict[str, SourceFate]:
    """Every source that was ever configured, by name."""
    total = _by_source(session, NotificationRow)
    still_open = _by_source(session, NotificationRow, _FOLLOWED)
    unfit = _by_source(session, RejectedRow)
    rows = session.exec(select(Source)).all()
    return {
        row.name: SourceFate(row, total.get(row.id, 0), still_open.get(row.id, 0), unfit.get(row.id, 0)) for row in rows
    }


def of_source(session: Session, name: str) -> SourceFate:
    """One source, as it is at this point of the transaction."""
    query = select(Source).where(col(Source.name) == name).execution_options(populate_existing=True)
    row = session.exec(query).one()
    own, unfit = col(NotificationRow.source_id) == row.id, col(RejectedRow.source_id) == row.id
    return SourceFate(
        row,
        _by_source(session, NotificationRow, own).get(row.id, 0),
        _by_source(session, NotificationRow, own, _FOLLOWED).get(row.id, 0),
        _by_source(session, RejectedRow, unfit).get(row.id, 0),
    )


def of_endpoints(session: Session) -> dict[str, EndpointFate]:
    """Every endpoint that was ever configured, by name."""
    counted = (
        select(Delivery.endpoint_id, Delivery.status, func.count(), func.min(Delivery.created_at))
        .where(_NO_TEST)
        .group_by(col(Delivery.endpoint_id), col(Delivery.status))
    )
    counts: dict[int, dict[str, int]] = {}
    oldest: dict[int, datetime] = {}
    for endpoint_id, status, count, first in session.execute(counted).all():
        counts.setdefault(endpoint_id, {})[status] = count
        if status == DeliveryStatus.PENDING:
            oldest[endpoint_id] = first
    rows = session.exec(select(EndpointRow)).all()
    return {row.name: EndpointFate(row, counts.get(row.id or 0, {}), oldest.get(row.id or 0)) for row in rows}


def of_endpoint(session: Session, name: str) -> EndpointFate:
    """One endpoint, as it is at this point of the transaction."""
    query = select(EndpointRow).where(col(EndpointRow.name) == name).execution_options(populate_existing=True)
    row = session.exec(query).one()
    its = and_(col(Delivery.endpoint_id) == row.id, _NO_TEST)
    counted = select(Delivery.status, func.count()).where(its).group_by(col(Delivery.status))
    pending = col(Delivery.status) == DeliveryStatus.PENDING.value
    oldest = session.exec(select(func.min(Delivery.created_at)).where(its, pending)).one()
    return EndpointFate(row, dict(session.execute(counted).all()), oldest)


def _by_source(
    session: Session, model: type[NotificationRow] | type[RejectedRow], *conditions: ColumnElement[bool]
) -> dict[int | None, int]:
    query = select(model.source_id, func.count()).where(*conditions).group_by(col(model.source_id))
    return dict(session.execute(query).all())
