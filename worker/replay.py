"""The replay spine: a range of messages owed to an endpoint again, portion by portion (INTERFACE, section 3).

Each portion is one short transaction. Whatever a crash cuts off is one portion; the same range asked for again goes on
with what is left, also by several processes at once.
"""

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime

from worker.interest import Interest
from worker.store import replays
from worker.store.replays import PORTION, Asked, Extent, Standing
from worker.store.session import Database


@dataclass(frozen=True, slots=True)
class Survey:
    """What a replay is about: messages by what became of them at the endpoint; or the unfinished one to go on with."""

    interest: Interest
    asked: Asked
    at: datetime
    counts: Counter[Standing]
    begun: Extent | None

    @property
    def total(self) -> int:
        """How many messages it is about, over all interruptions."""
        return self.begun.total if self.begun else self.counts.total()


def survey(database: Database, interest: Interest, asked: Asked, now: datetime) -> Survey:
    """How many messages a replay would owe. Writes nothing."""
    with database.reading() as session:
        begun = replays.unfinished(session, interest.endpoint, asked)
        counts = Counter[Standing]() if begun else replays.survey(session, interest, asked, now)
    return Survey(interest, asked, now, counts, begun)


def replay(
    database: Database, about: Survey, clock: Callable[[], datetime], portion: int = PORTION
) -> Generator[Extent, None, None]:
    """Owe what is left of it; after each commit, how far it is. The first tells of what was owed before.

    One that is finished can be asked for again: it owes all of it again.
    """
    interest = about.interest
    with database.transaction() as session:
        extent = replays.begin(session, interest.endpoint, about.asked, about.total, about.at)
    yield extent
    while not extent.done:
        with database.transaction() as session:
            further = replays.go_on(session, extent.id, interest, portion, clock())
        extent = further or replace(extent, done=True)
        yield extent
