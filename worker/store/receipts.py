"""Receipts: what a provider is yet to be told that we hold, and that it was told (INTERFACE, section 1: `acknowledge`).

An acknowledgement is owed for what is open, once: as soon as it is stored, or when it was delivered.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, exists, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus
from worker.store.tables import Delivery, NotificationRow
from worker.store.tables.columns import UNACKNOWLEDGED

_ROW = NotificationRow
_LACKING = (DeliveryStatus.PENDING.value, DeliveryStatus.EXHAUSTED.value)


def owed(session: Session, source_id: int, most: int, *, delivered: bool) -> list[str]:
    """The external ids for which an acknowledgement is due, the longest known first, `most` at most.

    `delivered`: only of what every endpoint that wants it has, and at least one does.
    """
    open_ones = select(_ROW.external_id).where(col(_ROW.source_id) == source_id, UNACKNOWLEDGED)
    if delivered:
        open_ones = open_ones.where(col(_ROW.delivered_at).is_not(None), ~_somebody_lacks_it())
    return list(session.exec(open_ones.order_by(col(_ROW.first_seen_at), col(_ROW.id)).limit(most)).all())


def note(session: Session, source_id: int, external_ids: Collection[str], now: datetime) -> None:
    """The provider knows of these. They are locked in the order that polls and recording keep too."""
    mine = (col(_ROW.source_id) == source_id, col(_ROW.external_id).in_(list(external_ids)))
    in_order = select(_ROW.id).where(*mine).order_by(col(_ROW.id)).with_for_update(key_share=True)
    found = session.exec(in_order).all()
    session.execute(update(_ROW).where(col(_ROW.id).in_(found)).values(acknowledged_at=now))


def _somebody_lacks_it() -> ColumnElement[bool]:
    """Whether an endpoint wanted a revision, and has neither it nor a later one. What it skips it doesn't want."""
    later = aliased(Delivery)
    overtaken = exists().where(
        col(later.notification_id) == col(Delivery.notification_id),
        col(later.endpoint_id) == col(Delivery.endpoint_id),
        col(later.revision) > col(Delivery.revision),
        col(later.status) == DeliveryStatus.DELIVERED.value,
    )
    return exists().where(col(Delivery.notification_id) == col(_ROW.id), col(Delivery.status).in_(_LACKING), ~overtaken)
