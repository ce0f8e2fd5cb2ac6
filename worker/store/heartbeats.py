"""Signs of life: that what must happen again and again still does, whichever process does it."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from worker.store.glance import SWEEP, TICK
from worker.store.session import Database, upsert
from worker.store.tables import Heartbeat

__all__ = ["EVERY", "PRUNED", "PRUNING", "SWEEP", "TICK", "Pulse", "claim", "known", "last", "record"]

PRUNED, PRUNING = "pruned", "pruning"
"""Pruning came to its end; a task began to prune, or to go on with it."""

EVERY = timedelta(seconds=10)
"""How often a process says so at most."""


class Pulse:
    """Says that something happened, in a transaction of its own; `EVERY` so often, however often it is told."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name
        self._said_at: datetime | None = None

    def beat(self, now: datetime) -> None:
        """It happened now. A clock that was set back is no reason to be silent."""
        if self._said_at and abs(now - self._said_at) < EVERY:
            return
        with self._database.transaction() as session:
            record(session, self._name, now)
        self._said_at = now


def record(session: Session, name: str, now: datetime) -> None:
    """It happened now."""
    written = upsert(session, Heartbeat).values(name=name, at=now)
    session.execute(written.on_conflict_do_update(index_elements=["name"], set_={"at": now}))


def claim(session: Session, name: str, now: datetime, quiet_since: datetime) -> bool:
    """It happens now, and we do it, unless it last did after that instant. Of several at once, one gets it."""
    written = upsert(session, Heartbeat).values(name=name, at=now)
    quiet = col(Heartbeat.at) <= quiet_since
    claimed = written.on_conflict_do_update(index_elements=["name"], set_={"at": now}, where=quiet)
    return bool(session.execute(claimed.returning(col(Heartbeat.name))).first())


def known(session: Session) -> dict[str, datetime]:
    """All that ever happened, and when it last did."""
    return dict(session.execute(select(Heartbeat.name, Heartbeat.at)).all())


def last(session: Session, name: str) -> datetime | None:
    """When it last happened; None: never."""
    return session.exec(select(Heartbeat.at).where(col(Heartbeat.name) == name)).first()
