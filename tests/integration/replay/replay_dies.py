"""A process that replays to `erp`, three messages a transaction, and kills itself (-9) at a named point.

replay_dies.py DATABASE POINT TIMES: the point's so manieth time; with the point `never` it goes on to the end.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlmodel import Session

from tests.fakes import AT
from worker.interest import Interest
from worker.replay import replay, survey
from worker.store.replays import Asked
from worker.store.session import Database


class EdgyDatabase(Database):
    """Reaches a point right before and right after each commit."""

    def __init__(self, url: str, point: str, times: int) -> None:
        super().__init__(url)
        self._point, self._left = point, times

    @contextmanager
    def transaction(self, *, first: bool = False) -> Iterator[Session]:
        """A transaction whose end may not come."""
        with super().transaction(first=first) as session:
            yield session
            session.flush()
            self._reached("about to be committed")
        self._reached("committed")

    def _reached(self, point: str) -> None:
        self._left -= point == self._point
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, point: str, times: str) -> None:
    """Replay."""
    database = EdgyDatabase(url, point, int(times))
    later = AT + timedelta(hours=1)
    about = survey(database, Interest("erp"), Asked(AT), later)
    for _ in replay(database, about, lambda: later, 3):
        pass
    database.close()


main(*sys.argv[1:])
