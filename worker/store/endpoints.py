"""Endpoints: what the store knows of receivers; URLs, filters and limits stand in the configuration."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from worker.delivery import DeliveryStatus, Due, Trigger
from worker.revision import MessageType
from worker.store.session import upsert
from worker.store.tables import Delivery, EndpointRow, EndpointSecret, Message


def register(session: Session, name: str, now: datetime) -> None:
    """Make the endpoint known, once. What was owed to it before stays owed."""
    row = {"name": name, "created_at": now, "slowed": 0, "failures": 0}
    session.execute(upsert(session, EndpointRow).values(**row).on_conflict_do_nothing(index_elements=["name"]))


def disable(session: Session, name: str, reason: str, now: datetime) -> None:
    """Send it nothing more; what is pending waits for `enable`, what is new is stored as skipped."""
    session.execute(
        update(EndpointRow)
        .where(col(EndpointRow.name) == name, col(EndpointRow.disabled_at).is_(None))
        .values(disabled_at=now, reason=reason)
    )


def enable(session: Session, name: str, now: datetime) -> int:
    """Send again, at once, what is pending. Returns how many deliveries that is."""
    enabled = (
        update(EndpointRow)
        .where(col(EndpointRow.name) == name)
        .values(
            disabled_at=None, reason=None, failures=0, failing_since=None, slowed=0, slow_until=None, due_at=now
        )
        .returning(col(EndpointRow.id))
    )  # fmt: skip
    endpoint_id = session.execute(enabled).scalar_one()
    resumed = (
        update(Delivery)
        .where(col(Delivery.endpoint_id) == endpoint_id, col(Delivery.status) == DeliveryStatus.PENDING.value)
        .values(next_attempt_at=now)
        .returning(col(Delivery.id))
    )
    return len(session.execute(resumed).all())


def secrets(session: Session, name: str, now: datetime) -> list[str]:
    """The sealed secrets that we made for it and that are in force, newest first."""
    in_force = or_(col(EndpointSecret.retired_at).is_(None), col(EndpointSecret.retired_at) > now)
    found = (
        select(EndpointSecret.sealed)
        .join(EndpointRow, col(EndpointRow.id) == col(EndpointSecret.endpoint_id))
        .where(col(EndpointRow.name) == name, in_force)
        .order_by(col(EndpointSecret.id).desc())
    )
    return list(session.exec(found).all())


def keep_secret(session: Session, name: str, sealed: str, now: datetime) -> bool:
    """Keep the endpoint's first secret. False if it has one: another process was quicker."""
    locked = select(EndpointRow).where(col(EndpointRow.name) == name).with_for_update()
    endpoint = session.exec(locked).one()
    if secrets(session, name, now):
        return False
    session.add(EndpointSecret(endpoint_id=endpoint.id or 0, sealed=sealed, created_at=now))
    return True


def owe_test(session: Session, name: str, body: bytes, lease_for: timedelta, now: datetime) -> Due:
    """A `tocsin.test` message and its delivery, claimed by the caller from the start, so that no worker sends it.

    Unless the caller dies: when the claim has ended, it is due as any other.
    """
    endpoint = session.exec(select(EndpointRow).where(col(EndpointRow.name) == name)).one()
    message_id, token = f"msg_{uuid4().hex}", uuid4().hex
    session.add(Message(id=message_id, type=MessageType.TEST.value, revision=1, body=body, created_at=now))
    session.flush()
    delivery = Delivery(
        message_id=message_id, endpoint_id=endpoint.id or 0, revision=1, status=DeliveryStatus.PENDING.value,
        trigger=Trigger.TEST.value, next_attempt_at=now, claim_token=token, claimed_until=now + lease_for,
        created_at=now,
    )  # fmt: skip
    session.add(delivery)
    endpoint.due_at = min(endpoint.due_at or now + lease_for, now + lease_for)
    session.flush()
    return Due(
        delivery_id=delivery.id or 0, message_id=message_id, endpoint=name, body=body, attempt=1, round=1,
        trigger=Trigger.TEST, slowed=endpoint.slowed, claim_token=token, source=None, notification_id=None, made_at=now,
    )  # fmt: skip


def known(session: Session, names: Sequence[str]) -> Sequence[EndpointRow]:
    """The rows of these endpoints, by name."""
    return session.exec(
        select(EndpointRow).where(col(EndpointRow.name).in_(names)).order_by(col(EndpointRow.name))
    ).all()
