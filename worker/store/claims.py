"""Claiming: due deliveries of many endpoints at once, a few of each, under a lease (DELIVERY, section 1)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import bindparam, literal, update
from sqlmodel import Session, col, select

from worker.delivery import Due, Trigger
from worker.store import forms, overtaken
from worker.store.picks import Pick, next_due, picked, unclaimed
from worker.store.rooms import Allowance, Room, Slots, rooms, spend
from worker.store.tables import Delivery, EndpointRow, Message, Source

_WHENEVER = timedelta(days=36_500)
_LOOKED_THROUGH, _TIMES = 200, 20
"""Of what may have been overtaken; the rest is looked at by the next claim."""

_ANYTHING_DUE = select(literal(1)).where(col(EndpointRow.due_at) <= bindparam("now")).limit(1)


def anything_due(session: Session, now: datetime) -> bool:
    """Whether a claim may find something. A fraction of its cost, which an idle daemon would pay every second."""
    return session.connection().execute(_ANYTHING_DUE, {"now": now}).scalar() is not None


def claim(session: Session, allowances: Mapping[str, Allowance], slots: Slots, now: datetime) -> list[Due]:
    """Take due deliveries for a while, as many as there are slots for, the longest-waiting of each endpoint first.

    A revision is not due while an earlier one of its notification is pending for that endpoint, nor while any other is
    open. Whatever is not recorded before its lease ends is due again. Of an endpoint that is probed, one is taken, the
    longest-waiting too, whether or not it is due.
    """
    wanted = slots.shared_out(rooms(session, allowances, now))
    if not wanted:
        return []
    lease_until = now + max(allowances[room.endpoint.name].lease_for for room in wanted)
    latest = [room for room in wanted if allowances[room.endpoint.name].latest]
    if latest and not _skip_overtaken(session, latest, now):
        wanted = [room for room in wanted if room not in latest]
    taken = _take(session, picked(session, [_pick(room, now) for room in wanted], now), lease_until, now)
    _set_due(session, wanted, Counter(taken.values()), lease_until, now)
    due = _load(session, list(taken), {room.endpoint_id: room for room in wanted}) if taken else []
    return forms.dressed(session, due, {name: allowance.format for name, allowance in allowances.items()})


def _pick(room: Room, now: datetime) -> Pick:
    """A probe is made with the longest-waiting delivery; where none is due, with the first that will be."""
    return Pick(room.endpoint_id, room.count, now + _WHENEVER if room.probe else now)


def _skip_overtaken(session: Session, latest: Sequence[Room], now: datetime) -> bool:
    """Skip what newer revisions have overtaken, of all that may be taken. False: there is more than that."""
    ids = [room.endpoint_id for room in latest]
    wide = [replace(_pick(room, now), count=max(room.count, _LOOKED_THROUGH)) for room in latest]
    return any(not overtaken.skip_among(session, ids, picked(session, wide, now), now) for _ in range(_TIMES))


def _take(session: Session, ids: Sequence[int | None], lease_until: datetime, now: datetime) -> dict[int, int]:
    """Claim these; the deliveries that were taken, each with its endpoint.

    That they are pending isn't asked again: PostgreSQL would look for them in an index of all that is.
    """
    statement = (
        update(Delivery)
        .where(col(Delivery.id).in_(ids), unclaimed(now))
        .values(claim_token=uuid4().hex, claimed_until=lease_until)
        .returning(col(Delivery.id), col(Delivery.endpoint_id))
        .execution_options(synchronize_session=False)
    )
    return dict(session.execute(statement).all())


def _set_due(
    session: Session, wanted: Sequence[Room], taken: Counter[int], lease_until: datetime, now: datetime
) -> None:
    """When each endpoint is to be looked at again. What is recorded, owed or put back meanwhile wakes it earlier.

    One that may have more goes behind the others, so that none waits for another's backlog. One that is probed is
    looked at when the probe's lease ends, should nobody have recorded it.
    """
    emptied = [room.endpoint_id for room in wanted if not room.probe and taken[room.endpoint_id] < room.count]
    next_at = next_due(session, emptied, now)
    for room in wanted:
        endpoint, count = room.endpoint, taken[room.endpoint_id]
        spend(room, count, now)
        endpoint.due_at = next_at.get(room.endpoint_id, now)
        if room.probe:
            endpoint.due_at = lease_until if count else None
            endpoint.probe_at = lease_until if count else endpoint.probe_at
    session.flush()


def _load(session: Session, ids: Sequence[int], wanted: Mapping[int, Room]) -> list[Due]:
    rows = session.execute(
        select(Delivery, Message.body, Message.created_at, Source.name)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(Source, col(Source.id) == col(Message.source_id), isouter=True)
        .where(col(Delivery.id).in_(ids))
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
    ).all()
    return [
        Due(
            delivery_id=row.id,
            message_id=row.message_id,
            endpoint=wanted[row.endpoint_id].endpoint.name,
            body=body,
            attempt=row.attempts + 1,
            round=row.round + 1,
            trigger=Trigger(row.trigger),
            slowed=wanted[row.endpoint_id].endpoint.slowed,
            claim_token=row.claim_token,
            claimed_until=row.claimed_until,
            source=source,
            notification_id=str(row.notification_id) if row.notification_id else None,
            made_at=made_at,
            due_at=row.next_attempt_at,
            probe=wanted[row.endpoint_id].probe,
        )
        for row, body, made_at, source in rows
    ]
