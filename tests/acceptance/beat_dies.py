"""`tocsin run` with a scheduler that breaks at its second tick."""

import sys
from itertools import count

from celery.beat import Scheduler

from worker import embedded, logs

_LAST_TICK = 2


class Breaking(Scheduler):  # type: ignore[misc]
    """Beat's own, for a while."""

    numbers = count(1)

    def tick(self, **how: object) -> float:
        """One round. Raises RuntimeError in the end."""
        if next(self.numbers) >= _LAST_TICK:
            raise RuntimeError("no more ticks")
        interval: float = super().tick(**how)
        return interval


logs.configure(sys.stderr, json=True)
embedded.Beat.scheduler = Breaking
sys.exit(embedded.run())
