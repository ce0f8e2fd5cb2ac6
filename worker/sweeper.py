"""A thread of its own for sweeps, in a process that polls too: no delivery waits until a poll has ended."""

from collections.abc import Callable
from threading import Event, Thread

import structlog

_log = structlog.get_logger("deliver")


class Sweeper:
    """Sweeps when it is asked to, in a thread of its own. Asked while it sweeps, it wakes that, and looks once more.

    What a sweep raises ends that sweep, and is logged. `wake`: a sweep that waits for answers looks for more at once.
    """

    def __init__(self, sweep: Callable[[], object], wake: Callable[[], object]) -> None:
        self._sweep, self._wake = sweep, wake
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
        while self._asked.wait() and not self._ends:
            self._sweeps = True
            self._asked.clear()
            try:
                self._sweep()
            except Exception:  # noqa: BLE001  # the next one may go well
                _log.exception("sweep.failed")
            self._sweeps = False
