"""The Celery tasks: wake-ups that carry ids. Each may run twice, late, never, or beside itself (DESIGN, rule 4)."""

from contextlib import suppress

import structlog
from kombu.exceptions import OperationalError

from worker import operations
from worker.app import DELIVER, POLL, app, house
from worker.errors import LeaseLost, ProviderError

TICK, POLL_SOURCE, SWEEP, PRUNE = "poll.tick", "poll.source", "deliver.sweep", "retention.prune"
_TICK_EXPIRES_S = 2
_POLL_EXPIRES_S = 10
_log = structlog.get_logger("tasks")


@app.task(name=TICK, queue=POLL)
def tick(provider: str) -> None:
    """Send a poll for each of the provider's sources that is due."""
    for source in house().due_sources(provider):
        poll_source.apply_async(args=[source], expires=_POLL_EXPIRES_S)


@app.task(name=POLL_SOURCE, queue=POLL)
def poll_source(source: str) -> None:
    """Poll one source, if it is still due and nobody polls it. What follows from a failure stands in its row."""
    with suppress(ProviderError, LeaseLost):
        summary = house().poll(source, only_due=True)
        if summary and (summary.new or summary.changed):
            _nudge()


@app.task(name=SWEEP, queue=DELIVER)
def sweep() -> None:
    """Deliver what is due."""
    house().deliver()


@app.task(name=PRUNE, queue=POLL)
def prune() -> None:
    """Apply [retention]."""
    _log.info("retention.pruned", **operations.prune(house()))


def _nudge() -> None:
    """Don't wait for the schedule's next sweep; if the broker is away, the schedule will do."""
    with suppress(OperationalError):
        sweep.apply_async(expires=_TICK_EXPIRES_S)
