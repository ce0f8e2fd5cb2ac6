"""A thread of its own for sweeps, in a process that polls too: no delivery waits until a poll has ended."""

from collections.abc import Callable, Sequence
from threading import Event, Thread

import structlog

_PAUSES_S = (1.0, 2.0, 5.0, 10.0)
_log = structlog.get_logger("deliver")


class Sweeper:
    """Sweeps when it is asked to, in a thread of its own. Asked while it sweeps, it wakes that, and looks once more.

    `sweep` says whether it went well. After one that didn't, it sweeps again by itself, after longer and longer pauses
    unless it is asked before: what that one left open may be in nobody's sight but its own. What a sweep raises ends
    that sweep, and is logged. `wake`: a sweep that waits for answers looks for more at once.
    """

    def __init__(
        self, sweep: Callable[[], bool], wake: Callable[[], object], pauses_s: Sequence[float] = _PAUSES_S
    ) -> None:
        self._sweep, self._wake, self._pauses_s = sweep, wake, pauses_s
        self._asked, self._sweeps, self._ends = Event(), False, False
        self._thread = Thread(target=self._go_on, name="sweeper", daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def ask(self) -> None:
        """There may be something due."""
        self._asked.set()
        if self._sweeps:
            self._wake()

    def close(self) -> None:
        """Begin no other sweep, and wait for the one that goes on."""
        self._ends = True
        self._asked.set()
        self._thread.join()

    def _go_on(self) -> None:
        failures = 0
        while True:
            self._asked.wait(self._pauses_s[min(failures, len(self._pauses_s)) - 1] if failures else None)
            if self._ends:
                return
            self._sweeps = True
            self._asked.clear()
            failures = 0 if self._swept() else failures + 1
            self._sweeps = False

    def _swept(self) -> bool:
        try:
            return self._sweep()
        except Exception:  # noqa: BLE001  # the next one may go well
            _log.exception("sweep.failed")
            return False
