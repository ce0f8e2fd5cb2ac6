"""The scheduler within `tocsin run`: it sends a tick only where the tick would find something, and now and then.

A tick that finds nothing is a message, a task and several looks at the database, every second, all day. Here scheduler
and workers are one process, so one small look does instead. What is due, and when, stands in the database all the same:
it is looked there at each tick's moment, so nothing is sent later for it, whichever process made it due.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from schedules.scheduler import Scheduler
from worker.app import house
from worker.store import endpoints, roster
from worker.store.session import TROUBLE, Database
from worker.tasks import SWEEP, TICK

_LOOKS = MappingProxyType({TICK: roster.DUE, SWEEP: endpoints.DUE})

SIGN_EVERY = timedelta(seconds=20)
"""How often each task is sent in any case. Health goes by what the tasks themselves write, and takes a minute without
for a failure; so one that is lost doesn't matter."""


class Need:
    """Whether a tick is worth sending. `sign_every`: after so long without one it is, whatever is due."""

    def __init__(self, sign_every: timedelta = SIGN_EVERY) -> None:
        self._sign_every = sign_every
        self._sent_at: dict[str, datetime] = {}

    def of(self, task: str, configured: Collection[str], database: Database, now: datetime) -> bool:
        """Whether it may find something, or is a sign of life; of many providers' ticks, one is sign enough.

        `configured`: the names of what it looks for, sources or endpoints; what was taken out while it was due stays so
        for ever. In trouble with the database the tick is sent: the task knows what to do then.
        """
        if task not in _LOOKS:
            return True
        needed = self._quiet(task, now) or _finds(task, configured, database, now)
        if needed:
            self._sent_at[task] = now
        return needed

    def _quiet(self, task: str, now: datetime) -> bool:
        """None was sent for long. A clock that was set back is no reason to be silent."""
        sent_at = self._sent_at.get(task)
        return sent_at is None or abs(now - sent_at) >= self._sign_every


def _finds(task: str, configured: Collection[str], database: Database, now: datetime) -> bool:
    try:
        return database.finds_any_of(configured, _LOOKS[task], now=now)
    except TROUBLE:
        return True


class Sparing(Scheduler):
    """Asks before it sends."""

    sign_every = SIGN_EVERY

    def __init__(self, *args: Any, **options: Any) -> None:
        self._need = Need(self.sign_every)
        super().__init__(*args, **options)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send it, or leave it until its next moment."""
        home = house()
        configured = {TICK: home.settings.sources, SWEEP: home.settings.endpoints}.get(entry.task, ())
        if self._need.of(entry.task, configured, home.database, home.clock()):
            super().apply_entry(entry, producer=producer)
