"""The sources there are: made known all at once when a process starts, and looked through for those that are due."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, Update, bindparam, case, or_, select, update
from sqlmodel import Session, col

from worker.store.session import upsert
from worker.store.tables import Source

_AT_ONCE = 1000
DUE = select(col(Source.name)).where(col(Source.paused_at).is_(None), col(Source.next_poll_at) <= bindparam("now"))
"""Where a tick may find something: the sources that are due, be they on their way to a worker, or there in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A source as it is configured. `schedule`: its schedule in words; `moment`: the first one of it from now on."""

    name: str
    provider: str
    start_at: datetime | None
    schedule: str
    moment: datetime


def register(session: Session, configured: Sequence[Configured], now: datetime) -> None:
    """Make these sources known, in a handful of statements however many they are.

    One that is new is due at once (CLARIFICATIONS, 11), and what was decided about it then (`start_at`) stays. One with
    another schedule than before doesn't wait for the end of its old interval; unless it fails, and is set back.
    """
    known = dict(session.execute(select(col(Source.name), col(Source.schedule))).all())
    told = sorted(configured, key=lambda each: each.name)
    if new := [_row(each, now) for each in told if each.name not in known]:
        session.execute(upsert(session, Source).on_conflict_do_nothing(index_elements=["name"]), new)
    changed = [
        {"of": each.name, "is_now": each.schedule, "moment": each.moment}
        for each in told
        if each.name in known and known[each.name] != each.schedule
    ]
    if changed:
        session.connection().execute(_rescheduled(), changed)


def due(session: Session, names: Collection[str], now: datetime) -> list[str]:
    """The sources of these that are due and not on their way to a worker: those that wait longest, a thousand at most.

    `names` is looked up here, not there: its length costs nothing. A source that is no longer configured is not meant.
    """
    waiting = (
        select(col(Source.name))
        .where(
            col(Source.paused_at).is_(None),
            col(Source.next_poll_at) <= now,
            or_(col(Source.queued_until).is_(None), col(Source.queued_until) <= now),
            or_(col(Source.lease_until).is_(None), col(Source.lease_until) <= now),
        )
        .order_by(col(Source.next_poll_at), col(Source.id))
    )
    return [name for name in session.execute(waiting).scalars() if name in names][:_AT_ONCE]


def _row(each: Configured, now: datetime) -> dict[str, object]:
    return {
        "name": each.name,
        "provider": each.provider,
        "created_at": now,
        "start_at": each.start_at,
        "schedule": each.schedule,
        "next_poll_at": now,
    }


def _rescheduled() -> Update:
    """One statement for each, sent together. What fails keeps to its wait, which may be the provider's wish."""
    source: Table = Source.__table__  # type: ignore[attr-defined]
    moment = bindparam("moment", type_=source.c.next_poll_at.type)
    sooner = (source.c.failures == 0) & (source.c.next_poll_at > moment)
    return (
        update(source)
        .where(source.c.name == bindparam("of"))
        .values(schedule=bindparam("is_now"), next_poll_at=case((sooner, moment), else_=source.c.next_poll_at))
    )
