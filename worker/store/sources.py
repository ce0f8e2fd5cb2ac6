"""Sources: known by name, polled under a lease, by whoever took it with one conditional UPDATE (DESIGN, rule 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Table, bindparam, case, insert, or_, update
from sqlmodel import Session, col, select

from worker.errors import LeaseLost
from worker.progress import Checkpoint, PollSummary
from worker.provider import Validators, Window
from worker.store import said
from worker.store.session import storable
from worker.store.tables import PollRun, Source

LEASE_FOR = timedelta(seconds=60)
_QUEUED_FOR = timedelta(seconds=10)
_SOURCE: Table = Source.__table__  # type: ignore[attr-defined]
_POLL_RUN: Table = PollRun.__table__  # type: ignore[attr-defined]
_BEGUN = insert(_POLL_RUN).returning(_POLL_RUN.c.id)


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
    """What follows from a poll that did not end well: when it is tried again, or why the source is paused.

    `failed`: false where it was only told to wait.
    """

    reason: str
    next_poll_at: datetime
    paused: bool = False
    failed: bool = True


def queue_due(session: Session, names: Sequence[str], now: datetime) -> list[str]:
    """The sources of these that are due and not on their way to a worker; from here on they are, for ten seconds."""
    due = select(Source.id).where(
        col(Source.name).in_(names),
        col(Source.paused_at).is_(None),
        col(Source.next_poll_at) <= now,
        or_(col(Source.queued_until).is_(None), col(Source.queued_until) <= now),
        or_(col(Source.lease_until).is_(None), col(Source.lease_until) <= now),
    )
    free = due.with_for_update(skip_locked=True)  # who holds one is about to poll it, or to queue it
    queued = update(Source).where(col(Source.id).in_(free)).values(queued_until=now + _QUEUED_FOR)
    return sorted(session.execute(queued.returning(col(Source.name))).scalars())


def unqueue(session: Session) -> None:
    """No source is on its way any more: the queue is lost. Those that are due are sent again by the next tick."""
    session.execute(update(Source).where(col(Source.queued_until).is_not(None)).values(queued_until=None))


def acquire(session: Session, name: str, now: datetime, *, only_due: bool, polls: bool = True) -> Lease | None:
    """The lease, if nobody has it; with it a row in the ledger. None: taken, paused, or (`only_due`) not due.

    `polls`: false where the provider is not asked, so that it doesn't count as a poll.
    """
    token = uuid4().hex
    values = {"lease_token": token, "lease_until": now + LEASE_FOR, **({"last_poll_at": now} if polls else {})}
    connection, taken = session.connection(), _taken(tuple(values), only_due=only_due)
    source = connection.execute(taken, {"which": name, "now": now, **values}).first()
    if source is None:
        return None
    run_id: int = connection.execute(_BEGUN, {"source_id": source.id, "started_at": now}).scalar_one()
    return Lease(
        source_id=source.id,
        source=source.name,
        token=token,
        start_at=source.start_at,
        checkpoint=_checkpoint(source),
        failures=source.failures,
        poll_run_id=run_id,
        acquired_at=now,
    )


def renew(session: Session, lease: Lease, now: datetime) -> None:
    """Hold the lease for another minute. Raises LeaseLost when it ran out or is another's: then write nothing."""
    _write_under_lease(session, lease, now, lease_until=now + LEASE_FOR)


def advance(session: Session, lease: Lease, checkpoint: Checkpoint, now: datetime) -> None:
    """Commit how far the source has come. Raises LeaseLost."""
    _write_under_lease(
        session,
        lease,
        now,
        high_water=checkpoint.high_water,
        clock_offset_s=checkpoint.clock_offset.total_seconds(),
        covered_until=checkpoint.covered_until,
        etag=checkpoint.validators.etag if checkpoint.validators else None,
        last_modified=checkpoint.validators.last_modified if checkpoint.validators else None,
        newest_id=checkpoint.newest_id,
    )


def caught_up(session: Session, lease: Lease, changes_until: datetime, now: datetime) -> None:
    """Commit up to when the provider was asked for later changes. Raises LeaseLost."""
    _write_under_lease(session, lease, now, changes_until=changes_until)


def settle(session: Session, lease: Lease, next_poll_at: datetime, now: datetime) -> bool:
    """The poll is over, and was good: give the lease back and say when the next is due. Raises LeaseLost.

    A paused source, polled by hand, stays paused, and why. True: it was said to fail, and that it has recovered is yet
    to be said, in this commit.
    """
    said_failing_at, paused_at = said.so_far(session, lease.source_id)
    _write_under_lease(
        session, lease, now, lease_until=None, lease_token=None, next_poll_at=next_poll_at, queued_until=None,
        failures=0, failing_since=None, reason=None,
        said_failing_at=said_failing_at if paused_at else None,
    )  # fmt: skip
    return said_failing_at is not None and paused_at is None


def set_back(session: Session, lease: Lease, setback: Setback, now: datetime) -> bool:
    """The poll is over, and failed: give the lease back, with what follows; a pause stays. Raises LeaseLost.

    True: that is news, and yet to be said, in this commit: it didn't fail before, or is paused from now on.
    """
    said_failing_at, paused_at = said.so_far(session, lease.source_id)
    news = setback.failed and paused_at is None and (said_failing_at is None or setback.paused)
    since = session.exec(select(Source.failing_since).where(col(Source.id) == lease.source_id)).one()
    _write_under_lease(
        session, lease, now, lease_until=None, lease_token=None, queued_until=None, next_poll_at=setback.next_poll_at,
        failures=lease.failures + setback.failed, failing_since=since or (now if setback.failed else None),
        reason=storable(setback.reason), paused_at=paused_at or (now if setback.paused else None),
        said_failing_at=now if news else said_failing_at,
    )  # fmt: skip
    return news


def put_back(session: Session, token: str) -> None:
    """Give a lease back unfinished, as when a process is told to end: the source is due as before."""
    given = update(Source).where(col(Source.lease_token) == token)
    session.execute(given.values(lease_until=None, lease_token=None, queued_until=None))


def complete_until(session: Session, lease: Lease) -> datetime:
    """The instant up to which the source is complete; when it was first seen, if it never was."""
    row = session.exec(select(Source).where(col(Source.id) == lease.source_id)).one()
    return row.covered_until or row.created_at


def record_window(session: Session, run_id: int, window: Window) -> None:
    """Write into the poll's row in the ledger what it asks for."""
    _write_run(session, run_id, {"window_start": window.start, "window_end": window.end})


def record_run(session: Session, run_id: int, summary: PollSummary, error: str | None, now: datetime) -> None:
    """Close the poll's row in the ledger (POLLING, section 7)."""
    counts = {
        name: getattr(summary, name)
        for name in ("pages", "fetched", "new", "changed", "unchanged", "rejected", "repairs")
    }
    _write_run(session, run_id, {"finished_at": now, "error": error and storable(error), **counts})


def _write_run(session: Session, run_id: int, values: Mapping[str, object]) -> None:
    session.connection().execute(_run(tuple(values)), {"which": run_id, **values})


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


def _checkpoint(source: Any) -> Checkpoint:
    known_by = Validators(source.etag, source.last_modified)
    return Checkpoint(
        high_water=source.high_water,
        clock_offset=timedelta(seconds=source.clock_offset_s),
        covered_until=source.covered_until,
        validators=known_by if source.etag or source.last_modified else None,
        newest_id=source.newest_id,
        changes_until=source.changes_until,
    )


def _write_under_lease(session: Session, lease: Lease, now: datetime, **values: object) -> None:
    """One conditional UPDATE: whoever lost its lease writes nothing. Of a paused source the reason stays."""
    held = {"held_id": lease.source_id, "held_token": lease.token, "held_at": now}
    if session.connection().execute(_held(tuple(values)), held | values).first() is None:
        raise LeaseLost(f"source {lease.source}")


@cache
def _held(names: tuple[str, ...]) -> Any:
    of, values = _SOURCE.c, _given(names)
    if "reason" in names:
        values["reason"] = case((of.paused_at.is_(None), bindparam("reason", type_=of.reason.type)), else_=of.reason)
    held = update(_SOURCE).where(
        of.id == bindparam("held_id"),
        of.lease_token == bindparam("held_token"),
        of.lease_until > bindparam("held_at"),
    )
    return held.values(values).returning(of.id)


@cache
def _taken(names: tuple[str, ...], *, only_due: bool) -> Any:
    of, free = _SOURCE.c, or_(_SOURCE.c.lease_until.is_(None), _SOURCE.c.lease_until <= bindparam("now"))
    taken = update(_SOURCE).where(of.name == bindparam("which"), free)
    if only_due:
        taken = taken.where(of.paused_at.is_(None), of.next_poll_at <= bindparam("now"))
    return taken.values(_given(names)).returning(*of)


@cache
def _run(names: tuple[str, ...]) -> Any:
    return update(_POLL_RUN).where(_POLL_RUN.c.id == bindparam("which")).values(_given(names))


def _given(names: tuple[str, ...]) -> dict[str, ColumnElement[Any]]:
    return {name: bindparam(name) for name in names}
