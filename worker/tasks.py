"""The Celery tasks: wake-ups that carry ids. Each may run twice, late, never, or beside itself (DESIGN, rule 4)."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import structlog
from kombu.exceptions import OperationalError

from worker import operations
from worker.app import app, house
from worker.broker.nudges import Nudges
from worker.broker.room import has_room
from worker.broker.settings import DELIVER
from worker.errors import LeaseLost, ProviderError
from worker.outage import Outage
from worker.sweeper import Sweeper

TICK, POLL_SOURCE, SWEEP, PRUNE = "poll.tick", "poll.source", "deliver.sweep", "retention.prune"
_TICK_EXPIRES_S = 2
_POLL_EXPIRES_S = 10
_TO_GO_ON_S = 600
_PRUNE_FOR = timedelta(minutes=3)
_log = structlog.get_logger("tasks")
_outage = Outage()
_sweepers: list[Sweeper] = []


@app.task(name=TICK)
def tick(provider: str) -> None:
    """Send a poll for each of the provider's sources that is due."""
    with _outage.survived(TICK, proof=True), suppress(OperationalError):  # what is not sent now, is in ten seconds
        for source in house().due_sources(provider):
            poll_source.apply_async(args=[source], expires=_POLL_EXPIRES_S)


@app.task(name=POLL_SOURCE)
def poll_source(source: str) -> None:
    """Poll one source, if it is still due and nobody polls it. What follows from a failure stands in its row."""
    with _outage.survived(POLL_SOURCE), suppress(ProviderError, LeaseLost), _nudging() as owed:
        house().poll(source, only_due=True, owed=owed)


@app.task(name=SWEEP)
def sweep() -> None:
    """Deliver what is due. Where a sweeper does that, it is asked to."""
    if _sweepers:
        _sweepers[0].ask()
    else:
        sweep_now()


def sweep_now() -> bool:
    """Deliver what is due, here. False: in trouble with the database, which may have left something open."""
    with _outage.survived(SWEEP):
        house().deliver()
        return True
    return False


@contextmanager
def swept_by(sweeper: Sweeper) -> Iterator[None]:
    """Meanwhile it does all of this process's sweeps."""
    sweeper.start()
    _sweepers.append(sweeper)
    try:
        yield
    finally:
        _sweepers.remove(sweeper)
        sweeper.close()


@app.task(name=PRUNE)
def prune(*, goes_on: bool = False) -> None:
    """Apply [retention], once a day; what is left when the task must end, another one goes on with.

    After trouble, or a restart, the schedule's next tick does.
    """
    with _outage.survived(PRUNE):
        if not operations.may_prune(house(), goes_on=goes_on):
            return
        pruned = operations.prune(house(), _PRUNE_FOR)
        _log.info("retention.pruned", finished=pruned.finished, **pruned.counts)
        if not pruned.finished and not house().stopping.is_set():
            with suppress(OperationalError):
                prune.apply_async(kwargs={"goes_on": True}, expires=_TO_GO_ON_S)


@contextmanager
def _nudging() -> Iterator[Callable[[], None]]:
    """What a poll calls so that nothing waits for the schedule's next sweep; if nobody takes it, the schedule will do.

    To ask a sweeper costs nothing; a message does, and a broker that hangs has seconds.
    """
    if _sweepers:
        yield _sweepers[0].ask
        return
    with closing(Nudges(_send_sweep)) as nudges:
        yield nudges.owe


def _send_sweep() -> None:
    """One sweep that waits to be begun is enough: it begins after our commit."""
    with app.producer_or_acquire() as producer:
        if has_room(producer, DELIVER, 1):
            sweep.apply_async(expires=_TICK_EXPIRES_S, producer=producer)
