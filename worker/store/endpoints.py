"""Endpoints: what the store knows of receivers; URLs, filters and limits stand in the configuration."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import bindparam, func, update
from sqlmodel import Session, col, select

from worker.condition import enabled
from worker.delivery import DeliveryStatus, Due, Trigger
from worker.revision import MessageType
from worker.store import conditions
from worker.store.picks import PENDING
from worker.store.session import upsert
from worker.store.tables import Delivery, EndpointRow, Message

DUE = select(col(EndpointRow.name)).where(col(EndpointRow.due_at) <= bindparam("now"))
"""Where a sweep may find something: the endpoints of which something is due."""


def register(session: Session, name: str, now: datetime) -> None:
    """Make the endpoint known, once. What was owed to it before stays owed."""
    row = {"name": name, "created_at": now, "slowed": 0, "failures": 0}
    session.execute(upsert(session, EndpointRow).values(**row).on_conflict_do_nothing(index_elements=["name"]))


def disable(session: Session, name: str, reason: str, now: datetime) -> bool:
    """Send it nothing more; what is pending waits for `enable`, what is new is stored as skipped. False: it was so."""
    disabled = (
        update(EndpointRow)
        .where(col(EndpointRow.name) == name, col(EndpointRow.disabled_at).is_(None))
        .values(disabled_at=now, reason=reason, probe_at=None, probes=0, opening_since=None, due_at=None)
        .returning(col(EndpointRow.id))
    )
    return session.execute(disabled).first() is not None


def enable(session: Session, name: str, now: datetime) -> int:
    """Send again, at once, what is pending: in its order, and slowly at first where the endpoint was failing.

    Returns how many deliveries that is.
    """
    (endpoint,) = conditions.lock(session, [name])
    conditions.put(session, {endpoint.id: enabled(conditions.of(endpoint), now)}, now)
    its = (col(Delivery.endpoint_id) == endpoint.id, PENDING)
    session.execute(
        update(Delivery)
        .where(*its, col(Delivery.next_attempt_at) > now)
        .values(next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )
    return session.exec(select(func.count()).select_from(Delivery).where(*its)).one()


def lock(session: Session, names: Iterable[str]) -> Sequence[EndpointRow]:
    """Their rows, locked in the order that all keep."""
    rows = select(EndpointRow).where(col(EndpointRow.name).in_(sorted(set(names)))).order_by(col(EndpointRow.id))
    return session.exec(rows.with_for_update(key_share=True)).all()


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
        trigger=Trigger.TEST, slowed=endpoint.slowed, claim_token=token, claimed_until=now + lease_for, source=None,
        notification_id=None, made_at=now,
    )  # fmt: skip


def known(session: Session, names: Sequence[str]) -> Sequence[EndpointRow]:
    """The rows of these endpoints, by name."""
    return session.exec(
        select(EndpointRow).where(col(EndpointRow.name).in_(names)).order_by(col(EndpointRow.name))
    ).all()
