"""Rooms: how many deliveries of each endpoint a claim may take, within what its row and its limits allow.

An endpoint's row is locked while its deliveries are claimed, so that its limits hold for all workers together; a row
that another worker has locked is passed over. On SQLite one BEGIN IMMEDIATE does the locking.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from sys import maxsize
from typing import Any, Self

from sqlalchemy import Table, bindparam, func
from sqlmodel import Session, col, select

from worker.pace import opening_room, opening_spent, room_at, spent
from worker.settings import Rate
from worker.store import batches, ready
from worker.store.picks import NOW, PENDING
from worker.store.tables import Delivery, EndpointRow

_ENDPOINT: Table = EndpointRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of an endpoint may be claimed: requests open at once, a rate, for how long; and its format.

    `latest`: of a notification's revisions only the newest is wanted.
    """

    max_in_flight: int
    lease_for: timedelta
    rate: Rate | None = None
    format: str = "standard"
    latest: bool = False


@dataclass(slots=True, eq=False)
class Door:
    """What a claim reads of an endpoint's row, and changes before it is written back by `leave`."""

    id: int
    name: str
    due_at: datetime | None = None
    slow_until: datetime | None = None
    slowed: int = 0
    disabled_at: datetime | None = None
    paced_until: datetime | None = None
    probe_at: datetime | None = None
    opening_since: datetime | None = None


_READ = [_ENDPOINT.c[each.name] for each in fields(Door)]
_WRITTEN = ("id", "due_at", "paced_until", "probe_at", "opening_since")


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """An endpoint, and how many of its deliveries may be taken, within its rate.

    `probe`: one alone, and be it not due yet, to ask whether the endpoint still fails. `open`: so many are open now.
    """

    endpoint: Door
    count: int
    rate: Rate | None = None
    probe: bool = False
    open: int = 0

    @property
    def endpoint_id(self) -> int:
        """The endpoint's."""
        return self.endpoint.id


@dataclass(frozen=True, slots=True)
class Slots:
    """The requests that one process may have open at once: `limit` in all, `each` of one endpoint; `open` are now.

    `reserve`: so many are kept for endpoints that have nothing open here, one for each. `free`: as many more may be.
    """

    limit: int
    open: Mapping[str, int] = field(default_factory=dict)
    each: int = maxsize
    reserve: int = 0
    free: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", self.limit - sum(self.open.values()))

    @classmethod
    def among_many(cls, limit: int, open_now: Mapping[str, int]) -> Self:
        """So shared that endpoints that hang hold up no others: half at most for one, a fifth in reserve.

        One that hangs takes one of the reserve at most, and only where the rest is taken. So the reserve has an end: of
        500, and with ten open to each, 40 that hang can fill the rest and 100 more the reserve; with one open to each,
        more than 400 begin to use it up, and 500 have. Then others wait until one of them times out.
        """
        return cls(limit, open_now, each=max(1, limit // 2), reserve=limit // 5)

    @property
    def full(self) -> set[str]:
        """Endpoints with so much open that there may be no more now; of any other there may be, if anything is free."""
        return {name for name in self.open if self._at_most(name, self.free) <= 0}

    def shared_out(self, found: Sequence[Room]) -> list[Room]:
        """As many of each as there are slots for: evenly, at least one, whoever comes first first."""
        left = self.free
        share = max(1, (left - self.reserve) // max(1, len(found)))
        given = []
        for room in found:
            count = min(room.count, share, self._at_most(room.endpoint.name, left))
            if count > 0:
                given.append(Room(room.endpoint, count, room.rate, probe=room.probe, open=room.open))
                left -= count
        return given

    def _at_most(self, name: str, left: int) -> int:
        open_now = self.open.get(name, 0)
        of_reserve = 0 if open_now else min(1, left)
        return min(self.each - open_now, max(left - self.reserve, of_reserve))


def rooms(session: Session, allowances: Mapping[str, Allowance], now: datetime) -> list[Room]:
    """The endpoints that may have something due and have room for it, locked; the longest-waiting first.

    One that is shut is looked at again when it opens, not before.
    """
    ajar, shut = list[Door](), list[Door]()
    found: Iterable[Any] = ready.execute(session, _doors, now=now, names=list(allowances))
    for row in found:
        door = Door(*row)
        (ajar if _is_ajar(door, now) else shut).append(door)
    leave(session, shut)
    if not ajar:
        return []
    open_now = _open(session, [door.id for door in ajar], now)
    rooms_of = (_room(door, allowances[door.name], open_now.get(door.id, 0), now) for door in ajar)
    return [room for room in rooms_of if room.count > 0]


@cache
def _doors(dialect: str) -> Any:
    return (
        select(*_READ)
        .where(_ENDPOINT.c.due_at <= bindparam("now"), ready.one_of(dialect, _ENDPOINT.c.name, "names"))
        .order_by(_ENDPOINT.c.due_at, _ENDPOINT.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )


def leave(session: Session, doors: Sequence[Door]) -> None:
    """Their rows are as they were left."""
    if doors:
        rows: list[dict[str, Any]] = [{name: getattr(door, name) for name in _WRITTEN} for door in doors]
        batches.change(session, EndpointRow, rows)


def _is_ajar(endpoint: Door, now: datetime) -> bool:
    if endpoint.disabled_at:
        endpoint.due_at = None
        return False
    if endpoint.slow_until is endpoint.probe_at is None:
        return True
    opens_at = max((at for at in (endpoint.slow_until, endpoint.probe_at) if at and at > now), default=None)
    if opens_at:
        endpoint.due_at = opens_at
    return opens_at is None


def _open(session: Session, endpoint_ids: Sequence[int], now: datetime) -> dict[int, int]:
    rows: Iterable[Any] = ready.execute(session, _opened, endpoints=list(endpoint_ids), now=now)
    return dict(iter(rows))


@cache
def _opened(dialect: str) -> Any:
    return (
        select(Delivery.endpoint_id, func.count())
        .where(
            PENDING, col(Delivery.claimed_until) > NOW, ready.one_of(dialect, col(Delivery.endpoint_id), "endpoints")
        )
        .group_by(col(Delivery.endpoint_id))
    )


def _room(endpoint: Door, allowance: Allowance, open_now: int, now: datetime) -> Room:
    """While an endpoint is probed, one request at a time: not even beside those that were open before."""
    if endpoint.probe_at is None and endpoint.opening_since is None and allowance.rate is None:
        return Room(endpoint, allowance.max_in_flight - open_now, open=open_now)
    counts = [allowance.max_in_flight - open_now]
    if endpoint.probe_at:
        counts.append(0 if open_now else 1)
    if allowance.rate:
        counts.append(room_at(allowance.rate, endpoint.paced_until, now))
    if endpoint.opening_since:
        opening = opening_room(endpoint.opening_since, endpoint.paced_until, now)
        endpoint.opening_since = None if opening is None else endpoint.opening_since
        counts += [] if opening is None else [opening]
    return Room(endpoint, min(counts), allowance.rate, probe=endpoint.probe_at is not None, open=open_now)


def spend(room: Room, count: int, now: datetime) -> None:
    """So many were taken: its row remembers up to where its pace is used up.

    One that has no more due and nothing open is open: while a request is, more may wait behind it.
    """
    row = room.endpoint
    paces = [spent(room.rate, row.paced_until, count, now)] if room.rate and count else []
    if row.opening_since and count:
        paces.append(opening_spent(row.opening_since, row.paced_until, count, now))
    row.paced_until = max(paces, default=row.paced_until)
    if count == room.open == 0:
        row.opening_since = None
