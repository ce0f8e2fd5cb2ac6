"""`backlog = "latest"`: a pending revision that a newer one has overtaken is not sent (DELIVERY, section 4).

Not where a request for it is open, which may arrive, nor where it was asked for by hand.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus, Trigger
from worker.store.picks import PENDING, unclaimed
from worker.store.tables import Delivery

SUPERSEDED = "superseded"


def skip(session: Session, endpoint_ids: Sequence[int], of: ColumnElement[bool], now: datetime) -> int:
    """Skip what is overtaken of these endpoints, which are locked; how many. `of` says of which notifications."""
    newer = aliased(Delivery)
    overtaken = (
        select(newer.id)
        .where(
            col(newer.endpoint_id) == Delivery.endpoint_id,
            col(newer.notification_id) == Delivery.notification_id,
            col(newer.status) == DeliveryStatus.PENDING.value,
            col(newer.revision) > Delivery.revision,
        )
        .exists()
    )
    skipped = (
        update(Delivery)
        .where(
            col(Delivery.endpoint_id).in_(endpoint_ids), of, PENDING, unclaimed(now),
            col(Delivery.trigger) != Trigger.REDELIVERY.value, overtaken,
        )
        .values(
            status=DeliveryStatus.SKIPPED.value, reason=SUPERSEDED, next_attempt_at=None, claim_token=None,
            claimed_until=None,
        )
        .returning(col(Delivery.id))
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    return len(session.execute(skipped).all())


def skip_among(session: Session, endpoint_ids: Sequence[int], picked: Sequence[int | None], now: datetime) -> int:
    """The same for the notifications of these deliveries."""
    picked_ones = aliased(Delivery)
    theirs = select(picked_ones.notification_id).where(col(picked_ones.id).in_(picked))
    return skip(session, endpoint_ids, col(Delivery.notification_id).in_(theirs), now) if picked else 0
