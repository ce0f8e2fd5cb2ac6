"""A worker that takes no work although Redis answers and work is due ends, so that its supervisor starts another.

No look at the process tells a worker that hangs from one that has nothing to do: its threads wait in either case. What
tells them apart is the queue. A task that waits there for long, while this worker has room for it and takes none, shows
that it has stopped to listen; where others take everything, no harm is done as long as they do. An empty queue proves
nothing: then no beat is at work, or nothing is due, and ending would mend neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final

LOOK_EVERY: Final = timedelta(seconds=5)
HUNG_AFTER: Final = timedelta(seconds=60)
"""Longer than the guards take to connect anew (15 s), and than a connection that swallows everything goes unnoticed
(40 s)."""
HELD_FOR: Final = timedelta(minutes=10)
"""Longer than a task may take: prefork kills one at its limit, but nobody kills a thread."""


class Verdict(Enum):
    """What was seen of a worker."""

    FINE = "it takes work, or there is none, or it has no room for any, or Redis doesn't answer"
    SUSPECT = "tasks wait, and it takes none"
    HUNG = "tasks wait, Redis answers, and it has taken none for long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A worker at one moment.

    `at`: by a clock that only goes forward; `waiting`: the tasks in its queues, None when Redis did not answer;
    `taken`: the tasks that it ever took; `held`: those that it took and has not ended; `room`: how many it may hold.
    """

    at: timedelta
    waiting: int | None
    taken: int
    held: int
    room: int


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known from the looks so far: since when tasks wait and none was taken, if that is so."""

    before: Look | None = None
    since: timedelta | None = None

    def after(self, look: Look) -> "Watch":
        """With one more look. A task taken, a task ended, an empty queue or Redis being away start the count anew."""
        before = self.before
        if before is None or look.taken > before.taken or look.held < before.held:
            return Watch(look)
        if not (before.waiting and look.waiting):
            return Watch(look)
        return Watch(look, before.at if self.since is None else self.since)

    def verdict(self, hung_after: timedelta = HUNG_AFTER, held_for: timedelta = HELD_FOR) -> Verdict:
        """A worker with no room left is given until any task must have ended."""
        if self.since is None or self.before is None:
            return Verdict.FINE
        patience = hung_after if self.before.held < self.before.room else held_for
        return Verdict.HUNG if self.before.at - self.since >= patience else Verdict.SUSPECT


def watch(
    look: Callable[[], Look], wait: Callable[[float], bool], hung_after: timedelta, every: timedelta = LOOK_EVERY
) -> Watch | None:
    """Look, until it hangs: what was known then. None: `wait` said that the end had come otherwise."""
    known = Watch()
    while not wait(every.total_seconds()):
        known = known.after(look())
        if known.verdict(hung_after) is Verdict.HUNG:
            return known
    return None
