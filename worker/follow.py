"""Following what is open: changes that the live pass can't see, withdrawals, and what was never closed (POLLING, 4).

Runs after a complete live pass, under the same lease, in commits as short as the pass's own. What it leaves undone is
still due, and done by the next poll.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

import structlog

from worker.errors import ContractBroken
from worker.following import Followed, Following, whole
from worker.intake import take_changes
from worker.rereading import reread
from worker.rest.budget import BudgetUsedUp
from worker.store import buckets, endings, sources

_ENDINGS_AT_ONCE = 500
_log = structlog.get_logger("follow")


def follow(following: Following) -> Iterator[Followed]:
    """Everything that is due of this source's open notifications; told after each commit.

    One broken answer holds up nothing else: it is raised when all the rest is done. Where the budget of requests is
    used up, the rest waits for the next poll. Raises ProviderError as the provider does, and LeaseLost.
    """
    broken: ContractBroken | None = None
    for part in (_changes, reread, _expire):
        try:
            yield from part(following)
        except BudgetUsedUp as limit:
            _log.debug("follow.budget_used_up", source=following.lease.source, reason=str(limit))
        except ContractBroken as error:
            broken = broken or error
    if broken:
        raise broken


def _changes(following: Following) -> Iterator[Followed]:
    """Where the API can be asked for rows that were read or acknowledged since: all those since it was last asked."""
    lease, changes = following.lease, following.contract.later_changes
    if not changes:
        return
    if since := _changes_since(following):
        for page in chain.from_iterable(whole(following.provider.changes(change, since)) for change in changes):
            yield Followed(page, following.store(page, take_changes))
    with following.world.database.transaction() as session:
        sources.caught_up(session, lease, lease.acquired_at, following.now)


def _changes_since(following: Following) -> datetime | None:
    """An overlap before it was last asked, and never before `start_at`; None: all there is has just been read."""
    checkpoint, start_at, grain = following.lease.checkpoint, following.lease.start_at, following.contract.grain
    asked_until = checkpoint.changes_until or (None if start_at else checkpoint.covered_until)
    marks = [start_at - grain] if start_at else []
    if asked_until:
        marks.append(asked_until + checkpoint.clock_offset - following.subscription.overlap - grain)
    return max(marks, default=None)


def _expire(following: Following) -> Iterator[Followed]:
    """What is past its date, or past `track_for`, without being closed. Most polls find nothing, and write nothing."""
    lease, database, provider_now = following.lease, following.world.database, following.provider_now
    since = provider_now - following.subscription.track_for
    marks = {"source": lease.source_id, "provider_now": provider_now, "tracked_since": since}
    while database.finds(buckets.ANYTHING_OVERDUE, **marks):
        now = following.now
        with database.transaction() as session:
            sources.renew(session, lease, now)
            over = buckets.overdue(session, lease.source_id, provider_now, since, _ENDINGS_AT_ONCE)
            stored = endings.expire(session, lease.source_id, lease.source, over, following.contract.volatile)
            following.owe(session, stored, now)
        yield Followed(ended=len(stored.revisions))
