"""One clock for all workers: the database's.

Leases and dues are instants that one process writes and another compares with its own time. By the clocks of many
machines a worker that is ahead would take over what others are still at, and put off what it polls.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

import structlog
from sqlalchemy import text

from worker.store.session import TROUBLE, Database

LOOK_EVERY = timedelta(seconds=10)
"""No steady clock drifts by a millisecond in that time."""

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine sleeps, and what was claimed before is others' after."""

_WORTH_TELLING = timedelta(seconds=2)
_NOW = text("SELECT clock_timestamp()")
_log = structlog.get_logger("clock")


def steady_seconds() -> float:
    """Of a clock that nobody can set, and that goes on while the machine sleeps."""
    return time.clock_gettime(_STEADY)


class SharedClock:
    """What time it is at the PostgreSQL behind `database`. Thread-safe.

    Between two looks the time goes on by our steady clock, which nobody can set. `own`: this machine's clock, which
    holds until the database first answers; that it is wrong is logged, once.
    """

    def __init__(
        self, database: Database, own: Callable[[], datetime], steady: Callable[[], float] = steady_seconds
    ) -> None:
        self._database, self._own, self._steady = database, own, steady
        self._looking = Lock()
        self._look_at: float | None = None
        self._known: tuple[datetime, float] | None = None
        self._told = False

    def __call__(self) -> datetime:
        """The time there; never an error."""
        if self._look_at is None or self._steady() >= self._look_at:
            self._look()
        if self._known is None:
            return self._own()
        then, steady_then = self._known
        return then + timedelta(seconds=self._steady() - steady_then)

    def _look(self) -> None:
        """One thread at a time; the others go on with what is known."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._known = self._asked()
        except TROUBLE:
            pass  # whoever wants more of the database than the time will say so
        finally:
            self._look_at = self._steady() + LOOK_EVERY.total_seconds()
            self._looking.release()

    def _asked(self) -> tuple[datetime, float]:
        """The time there, and here at the middle of the way there and back."""
        with self._database.engine.begin() as connection:  # a rollback would cost it all that it has prepared
            begun = self._steady()
            there: datetime = connection.execute(_NOW).scalar_one()
            middle = (begun + self._steady()) / 2
        self._tell(self._own() - there)
        return there, middle

    def _tell(self, ahead: timedelta) -> None:
        if abs(ahead) >= _WORTH_TELLING and not self._told:
            _log.warning("clock.wrong", seconds_ahead=round(ahead.total_seconds(), 1), of="the database's clock")
        self._told = abs(ahead) >= _WORTH_TELLING


def agreed(database: Database, own: Callable[[], datetime]) -> Callable[[], datetime]:
    """The clock that all who share this database go by; a SQLite file is one machine's, and goes by that one's."""
    return SharedClock(database, own) if database.engine.dialect.name == "postgresql" else own
