"""Conditions: how endpoints fare, read from their rows and written to them; what is decided, `condition` decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, bindparam, exists, literal, or_, true, update
from sqlmodel import Session, col, select

from worker.condition import Condition, Turned, after, is_due_probe, spared, turns
from worker.delivery import Attempted, DeliveryStatus
from worker.store import batches, ready
from worker.store.picks import NOW, PENDING, unclaimed
from worker.store.tables import Attempt, Delivery, EndpointRow

_AN_OUTAGE = timedelta(minutes=1)
_HASTENED = 1000
_COLUMNS = tuple(each.name for each in fields(Condition))
_WELL = Condition()
_ENDPOINT: Table = EndpointRow.__table__  # type: ignore[attr-defined]
_FIRST = ("id", "name", "due_at")
_READ = [_ENDPOINT.c[name] for name in (*_FIRST, *_COLUMNS)]
_WELLS = tuple(getattr(_WELL, name) for name in _COLUMNS)


def _to_nobody(session: Session, turned: Turned) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What becomes of endpoints that fail: for how long each may, and who is told, in the transaction that turns it.

    `listeners` are the endpoints that `tell` may owe something to; `latest` those that want the latest revision alone.
    """

    disable_after: Mapping[str, timedelta] = field(default_factory=dict)
    listeners: frozenset[str] = frozenset()
    latest: frozenset[str] = frozenset()
    tell: Callable[[Session, Turned], None] = _to_nobody


@dataclass(frozen=True, slots=True)
class Judged:
    """An endpoint's attempts as they counted, how it fares now, and what turned.

    `condition` None: as it did, and it need not be looked at earlier. `failed_since`: since when, if it has recovered.
    """

    counted: list[Attempted]
    condition: Condition | None
    turned: list[Turned] = field(default_factory=list)
    failed_since: datetime | None = None


def lock(session: Session, names: Iterable[str]) -> Sequence[Row[Any]]:
    """How these endpoints fare (`of`), with `id` and `name`; their rows are locked in the order that all keep."""
    return ready.execute(session, _locked, names=sorted(names)).all()


@cache
def _locked(dialect: str) -> Any:
    its = ready.one_of(dialect, _ENDPOINT.c.name, "names")
    return select(*_READ).where(its).order_by(_ENDPOINT.c.id).with_for_update(key_share=True)


def of(endpoint: EndpointRow | Row[Any]) -> Condition:
    """How the endpoint fares, by its row."""
    return Condition(**{name: getattr(endpoint, name) for name in _COLUMNS})


def put(session: Session, becomes: Mapping[int, Condition], now: datetime) -> None:
    """Their rows, by id, say how they fare, and when to look at them: at once, where they are open."""
    if becomes:
        rows = [{"id": identity, **_columns(condition, now)} for identity, condition in becomes.items()]
        batches.change(session, EndpointRow, rows)


def _columns(condition: Condition, now: datetime) -> dict[str, Any]:
    due_at = None if condition.disabled_at else max(condition.shut_until or now, now)
    return {"due_at": due_at, **{name: getattr(condition, name) for name in _COLUMNS}}


def judge(session: Session, endpoint: Row[Any], its: Sequence[Attempted], watch: Watch, now: datetime) -> Judged:
    """What these attempts mean for their endpoint, in the order in which they were answered, and for themselves."""
    if endpoint[len(_FIRST) :] == _WELLS and all(one.verdict.status is DeliveryStatus.DELIVERED for one in its):
        is_awake = endpoint.due_at is not None and endpoint.due_at <= now
        return Judged(list(its), _WELL if not is_awake and _more_waits(session, endpoint.id, now) else None)
    condition = of(endpoint)
    counted, turned = list[Attempted](), list[Turned]()
    failed_since = None
    for one in sorted(its, key=lambda each: each.outcome.answered_at):
        counted.append(spared(condition, one, now, alone=is_due_probe(one) and _is_alone(session, endpoint, one)))
        before, condition = condition, after(condition, one, watch.disable_after.get(endpoint.name), now)
        turned += [Turned(endpoint.name, turn, condition) for turn in turns(before, condition)]
        if before.probe_at and not condition.probe_at:
            failed_since = before.failing_since
    return Judged(counted, condition, turned, failed_since)


def _more_waits(session: Session, endpoint_id: int, now: datetime) -> bool:
    """Whether anything was due when these were claimed and could not be taken: a later revision of theirs.

    What is owed now, or due later, is known to the endpoint's row without us.
    """
    return ready.execute(session, _waiting, endpoint=endpoint_id, now=now).first() is not None


@cache
def _waiting(_dialect: str) -> Any:
    its = (col(Delivery.endpoint_id) == bindparam("endpoint"), PENDING, col(Delivery.next_attempt_at) <= NOW)
    return select(literal(1)).where(*its, unclaimed(NOW)).limit(1)


def _is_alone(session: Session, endpoint: Row[Any], one: Attempted) -> bool:
    """Whether nothing else of the endpoint is pending, except what waits for it: its notification's revisions."""
    row, of = Delivery, one.due.notification_id
    other = or_(col(row.notification_id).is_(None), col(row.notification_id) != UUID(of)) if of else true()
    its = (col(row.endpoint_id) == endpoint.id, PENDING, col(row.id) != one.due.delivery_id)
    return session.exec(select(row.id).where(*its, other).limit(1)).first() is None


def hasten(session: Session, endpoint_id: int, since: datetime, now: datetime) -> None:
    """What failed in an outage that is over doesn't wait out its schedule; it goes behind what is due already.

    These are the few requests by which the outage was noticed. One so short that the schedule's first waits are longer
    leaves them where they are: it may have been a run of messages that are never taken.
    """
    if now - since < _AN_OUTAGE:
        return
    waiting = (
        select(Delivery.id)
        .where(col(Delivery.endpoint_id) == endpoint_id, PENDING, col(Delivery.next_attempt_at) > now)
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
        .limit(_HASTENED)
    )
    failed = exists().where(col(Attempt.delivery_id) == Delivery.id, col(Attempt.started_at) >= since)
    session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(session.exec(waiting).all()), failed)
        .values(next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )
