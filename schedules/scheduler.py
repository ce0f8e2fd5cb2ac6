"""Celery's own in-memory scheduler, but for the end of each wait, and for a broker that takes no more."""

from datetime import timedelta
from time import monotonic
from typing import Any, Final

import structlog
from celery import beat

from worker.broker.room import has_room

SAID_EVERY: Final = timedelta(seconds=30)
"""How often it is said of a queue that nothing is sent to it, while that lasts."""

_log = structlog.get_logger("beat")


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery has no types
    """Sleeps until an entry is due. The stock one wakes 10 ms early and spins: 1 % of a core for a tick a second.

    It sends nothing to a queue where enough waits, and says in a line what the stock one has a traceback for, a tick.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._said_at: dict[str, float] = {}
        super().__init__(*args, **options)

    def adjust(self, n: float | None, drift: float = 0.0) -> float | None:  # noqa: ARG002  # Celery's signature
        """The wait as it is."""
        return n

    def schedules_equal(self, old_schedules: Any, new_schedules: Any) -> bool:  # noqa: ARG002  # Celery's signature
        """The timetable stays as it is; to compare all entries, thrice a second, is of no use."""
        return old_schedules is not None

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send this tick, or let it be: there will be another."""
        queue = entry.options["queue"]
        try:
            if not has_room(producer, queue):
                self._holds_back(queue, "enough waits there; is a worker running?")
                return
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:  # noqa: BLE001  # as Celery does: no tick may end beat, and with it all others
            self._holds_back(queue, f"{type(error).__name__}: {error}")
        else:
            if self._said_at.pop(queue, None):
                _log.info("beat.goes_on", queue=queue)

    def _holds_back(self, queue: str, why: str) -> None:
        now = monotonic()
        if now - self._said_at.get(queue, float("-inf")) >= SAID_EVERY.total_seconds():
            self._said_at[queue] = now
            _log.warning("beat.holds_back", queue=queue, why=why)
