"""Claiming: due deliveries of many endpoints at once, a few of each, under a lease (DELIVERY, section 1)."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Table, bindparam, update
from sqlmodel import Session, col, select

from worker.delivery import Due, Trigger
from worker.store import endpoints, forms, overtaken, ready
from worker.store.picks import NOW, Pick, next_due, picked, unclaimed
from worker.store.rooms import Allowance, Room, Slots, leave, rooms, spend
from worker.store.session import Database
from worker.store.tables import Delivery, Message, Source

_WHENEVER = timedelta(days=36_500)
_LOOKED_THROUGH, _TIMES = 200, 20
"""Of what may have been overtaken; the rest is looked at by the next claim."""

_TRIGGERS = {each.value: each for each in Trigger}
_DELIVERY: Table = Delivery.__table__  # type: ignore[attr-defined]
_TAKEN = (
    "id", "message_id", "endpoint_id", "notification_id", "attempts", "round", "trigger", "next_attempt_at",
)  # fmt: skip

_AS_IT_WAITED = itemgetter(_TAKEN.index("next_attempt_at"), _TAKEN.index("id"))


@dataclass(frozen=True, slots=True)
class _Lease:
    """By what, and until when, deliveries are ours."""

    until: datetime
    token: str = field(default_factory=lambda: uuid4().hex)


def anything_due(database: Database, names: Container[str], now: datetime) -> bool:
    """Whether a claim for these endpoints may find something. A fraction of its cost, which a daemon would pay often.

    One that was taken out of the configuration while something was due to it stays due.
    """
    return database.finds_any_of(names, endpoints.DUE, now=now)


def claim(session: Session, allowances: Mapping[str, Allowance], slots: Slots, now: datetime) -> list[Due]:
    """Take due deliveries for a while, as many as there are slots for, the longest-waiting of each endpoint first.

    A revision is not due while an earlier one of its notification is pending for that endpoint, nor while any other is
    open. Whatever is not recorded before its lease ends is due again. Of an endpoint that is probed, one is taken, the
    longest-waiting too, whether or not it is due.
    """
    wanted = slots.shared_out(rooms(session, allowances, now))
    if not wanted:
        return []
    lease = _Lease(now + max(allowances[room.endpoint.name].lease_for for room in wanted))
    latest = [room for room in wanted if allowances[room.endpoint.name].latest]
    if latest and not _skip_overtaken(session, latest, now):
        wanted = [room for room in wanted if room not in latest]
    taken = _take(session, picked(session, [_pick(room, now) for room in wanted], now), lease, now)
    _set_due(session, wanted, Counter(one.endpoint_id for one in taken), lease.until, now)
    due = _dues(session, taken, {room.endpoint_id: room for room in wanted}, lease)
    return forms.dressed(session, due, {name: allowance.format for name, allowance in allowances.items()})


def _pick(room: Room, now: datetime) -> Pick:
    """A probe is made with the longest-waiting delivery; where none is due, with the first that will be."""
    return Pick(room.endpoint_id, room.count, now + _WHENEVER if room.probe else now)


def _skip_overtaken(session: Session, latest: Sequence[Room], now: datetime) -> bool:
    """Skip what newer revisions have overtaken, of all that may be taken. False: there is more than that."""
    ids = [room.endpoint_id for room in latest]
    wide = [replace(_pick(room, now), count=max(room.count, _LOOKED_THROUGH)) for room in latest]
    return any(not overtaken.skip_among(session, ids, picked(session, wide, now), now) for _ in range(_TIMES))


def _take(session: Session, ids: Sequence[int | None], lease: _Lease, now: datetime) -> Sequence[Row[Any]]:
    """Claim these; the deliveries that were taken, the longest-waiting first.

    That they are pending isn't asked again: PostgreSQL would look for them in an index of all that is.
    """
    taken = ready.execute(session, _taken, ids=list(ids), now=now, token=lease.token, until=lease.until).all()
    return sorted(taken, key=_AS_IT_WAITED)


@cache
def _taken(dialect: str) -> Any:
    return (
        update(_DELIVERY)
        .where(ready.one_of(dialect, _DELIVERY.c.id, "ids"), unclaimed(NOW))
        .values(claim_token=bindparam("token"), claimed_until=bindparam("until"))
        .returning(*(_read(dialect, name) for name in _TAKEN))
    )


def _read(dialect: str, name: str) -> Any:
    its = _DELIVERY.c[name]
    return ready.as_text(dialect, its).label(name) if name == "notification_id" else its


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
    leave(session, [room.endpoint for room in wanted])


def _dues(session: Session, taken: Sequence[Row[Any]], wanted: Mapping[int, Room], lease: _Lease) -> list[Due]:
    """With their messages: a message that several endpoints are owed is read once."""
    ids = list({one.message_id for one in taken})
    if not ids:
        return []
    messages = {row[0]: row for row in ready.execute(session, _messages, ids=ids)}
    return [_due(one, wanted[one.endpoint_id], messages[one.message_id], lease) for one in taken]


@cache
def _messages(dialect: str) -> Any:
    told = select(Message.id, Message.body, Message.created_at, Source.name)
    of_source = told.join(Source, col(Source.id) == col(Message.source_id), isouter=True)
    return of_source.where(ready.one_of(dialect, col(Message.id), "ids"))


def _due(row: Sequence[Any], room: Room, message: Sequence[Any], lease: _Lease) -> Due:
    identity, message_id, _, notification_id, attempts, stage, trigger, due_at = row
    _, body, made_at, source = message
    return Due(
        delivery_id=identity,
        message_id=message_id,
        endpoint=room.endpoint.name,
        body=body,
        attempt=attempts + 1,
        round=stage + 1,
        trigger=_TRIGGERS[trigger],
        slowed=room.endpoint.slowed,
        claim_token=lease.token,
        claimed_until=lease.until,
        source=source,
        notification_id=notification_id and ready.dashed(notification_id),
        made_at=made_at,
        due_at=due_at,
        probe=room.probe,
    )
