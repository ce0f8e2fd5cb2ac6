"""Sources: known by name, polled under a lease, by whoever took it with one conditional UPDATE (DESIGN, rule 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, case, func, or_, update
from sqlmodel import Session, col, select

from worker.errors import LeaseLost
from worker.progress import Checkpoint, PollSummary
from worker.provider import Window
from worker.store.session import storable, upsert
from worker.store.tables import PollRun, Source

LEASE_FOR = timedelta(seconds=60)
_QUEUED_FOR = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to poll one source until the lease ends; every page renews it. `poll_run_id`: its row in the ledger."""

    source_id: int
    source: str
    token: str
    start_at: datetime | None
    checkpoint: Checkpoint
    failures: int
    poll_run_id: int
    acquired_at: datetime


@dataclass(frozen=True, slots=True)
class Setback:
    """What follows from a failed poll: when it is tried again, or why the source is paused."""

    reason: str
    next_poll_at: datetime
    paused: bool = False


def register(session: Session, name: str, provider: str, start_at: datetime | None, now: datetime) -> None:
    """Make the source known, once; what was decided then (`start_at`) stays. It is due at once (CLARIFICATIONS, 11)."""
    row = {"name": name, "provider": provider, "created_at": now, "start_at": start_at, "next_poll_at": now}
    session.execute(upsert(session, Source).values(**row).on_conflict_do_nothing(index_elements=["name"]))


def queue_due(session: Session, names: Sequence[str], now: datetime) -> list[str]:
    """The sources of these that are due and not on their way to a worker; from here on they are, for ten seconds."""
    due = (
        update(Source)
        .where(
            col(Source.name).in_(names),
            col(Source.paused_at).is_(None),
            col(Source.next_poll_at) <= now,
            or_(col(Source.queued_until).is_(None), col(Source.queued_until) <= now),
            or_(col(Source.lease_until).is_(None), col(Source.lease_until) <= now),
        )
        .values(queued_until=now + _QUEUED_FOR)
        .returning(col(Source.name))
    )
    return sorted(session.execute(due).scalars())


def unqueue(session: Session, names: Sequence[str]) -> None:
    """None of these is on its way any more: the queue is lost. Those that are due are sent again by the next tick."""
    session.execute(update(Source).where(col(Source.name).in_(names)).values(queued_until=None))


def acquire(session: Session, name: str, now: datetime, *, only_due: bool) -> Lease | None:
    """The lease, if nobody has it; with it a row in the ledger. None: taken, paused, or (`only_due`) not due."""
    token = uuid4().hex
    taken = update(Source).where(
        col(Source.name) == name, or_(col(Source.lease_until).is_(None), col(Source.lease_until) <= now)
    )
    if only_due:
        taken = taken.where(col(Source.paused_at).is_(None), col(Source.next_poll_at) <= now)
    values = {"lease_token": token, "lease_until": now + LEASE_FOR, "last_poll_at": now}
    source_id = session.execute(taken.values(**values).returning(col(Source.id))).scalar()
    if source_id is None:
        return None
    source = session.exec(select(Source).where(col(Source.id) == source_id)).one()
    run = PollRun(source_id=source_id, started_at=now)
    session.add(run)
    session.flush()
    return Lease(
        source_id=source_id,
        source=source.name,
        token=token,
        start_at=source.start_at,
        checkpoint=Checkpoint(source.high_water, timedelta(seconds=source.clock_offset_s), source.covered_until),
        failures=source.failures,
        poll_run_id=run.id or 0,
        acquired_at=now,
    )


def renew(session: Session, lease: Lease, now: datetime) -> None:
    """Hold the lease for another minute. Raises LeaseLost when it ran out or is another's: then write nothing."""
    _under_lease(session, lease, now, lease_until=now + LEASE_FOR)


def advance(session: Session, lease: Lease, checkpoint: Checkpoint, now: datetime) -> None:
    """Commit how far the source has come. Raises LeaseLost."""
    _under_lease(
        session,
        lease,
        now,
        high_water=checkpoint.high_water,
        clock_offset_s=checkpoint.clock_offset.total_seconds(),
        covered_until=checkpoint.covered_until,
    )


def settle(session: Session, lease: Lease, next_poll_at: datetime, now: datetime) -> None:
    """The poll is over, and was good: give the lease back and say when the next is due. Raises LeaseLost.

    A paused source, polled by hand, stays paused, and why.
    """
    _under_lease(
        session, lease, now, lease_until=None, lease_token=None, next_poll_at=next_poll_at, queued_until=None,
        failures=0, failing_since=None, reason=_unless_paused(None),
    )  # fmt: skip


def set_back(session: Session, lease: Lease, setback: Setback, now: datetime) -> None:
    """The poll is over, and failed: give the lease back, with what follows; a pause stays. Raises LeaseLost."""
    since = session.exec(select(Source.failing_since).where(col(Source.id) == lease.source_id)).one()
    _under_lease(
        session, lease, now, lease_until=None, lease_token=None, queued_until=None, next_poll_at=setback.next_poll_at,
        failures=lease.failures + 1, failing_since=since or now, reason=_unless_paused(storable(setback.reason)),
        paused_at=func.coalesce(Source.paused_at, now if setback.paused else None),
    )  # fmt: skip


def put_back(session: Session, token: str) -> None:
    """Give a lease back unfinished, as when a process is told to end: the source is due as before."""
    given = update(Source).where(col(Source.lease_token) == token)
    session.execute(given.values(lease_until=None, lease_token=None, queued_until=None))


def record_window(session: Session, run_id: int, window: Window) -> None:
    """Write into the poll's row in the ledger what it asks for."""
    asked = {"window_start": window.start, "window_end": window.end}
    session.execute(update(PollRun).where(col(PollRun.id) == run_id).values(**asked))


def record_run(session: Session, run_id: int, summary: PollSummary, error: str | None, now: datetime) -> None:
    """Close the poll's row in the ledger (POLLING, section 7)."""
    counts = {
        name: getattr(summary, name)
        for name in ("pages", "fetched", "new", "changed", "unchanged", "rejected", "repairs")
    }
    told = error and storable(error)
    session.execute(update(PollRun).where(col(PollRun.id) == run_id).values(finished_at=now, error=told, **counts))


def pause(session: Session, name: str, reason: str, now: datetime) -> bool:
    """Poll this source no more until it is resumed. False if there is no such source."""
    paused = update(Source).where(col(Source.name) == name).values(paused_at=now, reason=reason)
    return session.execute(paused.returning(col(Source.id))).first() is not None


def resume(session: Session, name: str, now: datetime) -> bool:
    """Poll this source again, at once. False if there is no such source."""
    resumed = (
        update(Source)
        .where(col(Source.name) == name)
        .values(paused_at=None, reason=None, failures=0, failing_since=None, next_poll_at=now, queued_until=None)
    )
    return session.execute(resumed.returning(col(Source.id))).first() is not None


def _unless_paused(reason: str | None) -> ColumnElement[str | None]:
    return case((col(Source.paused_at).is_(None), reason), else_=col(Source.reason))


def _under_lease(session: Session, lease: Lease, now: datetime, **values: object) -> None:
    """One conditional UPDATE: whoever lost its lease writes nothing."""
    held = update(Source).where(
        col(Source.id) == lease.source_id, col(Source.lease_token) == lease.token, col(Source.lease_until) > now
    )
    if session.execute(held.values(**values).returning(col(Source.id))).first() is None:
        raise LeaseLost(f"source {lease.source}")
