"""Telling the provider that we hold its notifications, where the source asks for it (INTERFACE, section 1).

Runs after the live pass, under the same lease, and only for what is committed. An acknowledgement is noted down after
the provider has answered, so one that a crash came between is made again: at least once.
"""

from collections.abc import Iterator, Sequence

import structlog

from worker.intake import Subscription, Surroundings
from worker.moment import next_moment
from worker.store import receipts, sources
from worker.store.sources import Lease

_BATCH = 100
_BETWEEN_COMMITS = 10
"""So few that their requests don't outlast the lease, which every commit renews."""

_log = structlog.get_logger("acknowledge")


def acknowledge(subscription: Subscription, lease: Lease, world: Surroundings) -> Iterator[int]:
    """Acknowledge what is due, batch by batch, until nothing is or the source's next moment has come.

    Tells after each commit how many. Raises ProviderError as the provider does, and LeaseLost.
    """
    if subscription.acknowledge == "never":
        return
    until = next_moment(subscription.source, subscription.schedule, lease.acquired_at)
    while True:
        owed = _owed(subscription, lease, world)
        for begin in range(0, len(owed), _BETWEEN_COMMITS):
            yield _tell(subscription, lease, world, owed[begin : begin + _BETWEEN_COMMITS])
        if len(owed) < _BATCH or world.clock() >= until:
            return


def _owed(subscription: Subscription, lease: Lease, world: Surroundings) -> list[str]:
    with world.database.reading() as session:
        delivered = subscription.acknowledge == "delivered"
        return receipts.owed(session, lease.source_id, _BATCH, delivered=delivered)


def _tell(subscription: Subscription, lease: Lease, world: Surroundings, external_ids: Sequence[str]) -> int:
    subscription.provider.acknowledge(external_ids)
    now = world.clock()
    with world.database.transaction() as session:
        sources.renew(session, lease, now)
        receipts.note(session, lease.source_id, external_ids, now)
    _log.debug("poll.acknowledged", source=lease.source, count=len(external_ids))
    return len(external_ids)
