"""How far each revision of a notification has come with each endpoint: what `notifications show` explains."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from worker.interest import Topic
from worker.store.tables import Delivery, EndpointRow, Message, Source


@dataclass(frozen=True, slots=True)
class Made:
    """A message of the notification."""

    id: str
    topic: Topic
    revision: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Reach:
    """The messages of a notification, every endpoint that was ever configured, and what each is owed of them.

    `deliveries` are known by the message's id and the endpoint's.
    """

    messages: tuple[Made, ...]
    endpoints: tuple[EndpointRow, ...]
    deliveries: dict[tuple[str, int], Delivery]


def of_notification(session: Session, identity: UUID) -> Reach:
    """Its messages by revision, the endpoints by name."""
    row = Message
    columns = (row.id, row.type, Source.name, row.kind, row.status, row.revision, row.created_at)
    found = session.execute(
        select(*columns)  # type: ignore[call-overload]
        .join(Source, col(Source.id) == col(row.source_id), isouter=True)
        .where(col(row.notification_id) == identity)
        .order_by(col(row.revision))
    ).all()
    owed = session.exec(select(Delivery).where(col(Delivery.notification_id) == identity)).all()
    return Reach(
        tuple(
            Made(of, Topic(kind, source, about, status), number, at)
            for of, kind, source, about, status, number, at in found
        ),
        tuple(session.exec(select(EndpointRow).order_by(col(EndpointRow.name))).all()),
        {(delivery.message_id, delivery.endpoint_id): delivery for delivery in owed},
    )
