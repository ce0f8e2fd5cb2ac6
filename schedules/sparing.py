"""The scheduler within `tocsin run`: it sends a tick only where the tick would find something.

A tick that finds nothing is a message, a task and several looks at the database, every second, all day. Here scheduler
and workers are one process, so one small look does instead. What is due, and when, stands in the database all the same:
it is looked there at each tick's moment, so nothing is sent later for it, whichever process made it due.
"""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from schedules.scheduler import Scheduler
from worker.app import house
from worker.store import claims, roster
from worker.store.session import TROUBLE, Database
from worker.tasks import SWEEP, TICK

_LOOKS = MappingProxyType({TICK: roster.ANYTHING_DUE, SWEEP: claims.ANYTHING_DUE})

SIGN_EVERY = timedelta(seconds=20)
"""How often a sweep is made in any case. Health takes a minute without one for a failure."""


class Need:
    """Whether a tick is worth sending."""

    def __init__(self) -> None:
        self._swept_at: datetime | None = None

    def of(self, task: str, database: Database, now: datetime) -> bool:
        """Whether it may find something. A sweep is needed now and then in any case: health goes by it.

        In trouble with the database the tick is sent: the task knows what to do then.
        """
        if task not in _LOOKS:
            return True
        if task == SWEEP and (self._swept_at is None or abs(now - self._swept_at) >= SIGN_EVERY):
            self._swept_at = now
            return True
        try:
            return database.finds(_LOOKS[task], now=now)
        except TROUBLE:
            return True


class Sparing(Scheduler):
    """Asks before it sends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._need = Need()
        super().__init__(*args, **options)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send it, or leave it until its next moment."""
        home = house()
        if self._need.of(entry.task, home.database, home.clock()):
            super().apply_entry(entry, producer=producer)
