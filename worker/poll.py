"""The poll spine: pages in; notifications, messages, deliveries and progress out, a commit a page (DESIGN, 3)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import structlog

from worker import progress
from worker.backoff import full_jitter
from worker.errors import AuthFailed, ContractBroken, ItemRejected, LeaseLost, ProviderError, RateLimited
from worker.interest import Interest
from worker.moment import Schedule, next_moment, shortest
from worker.notification import Normalised, RejectedItem
from worker.progress import Pass, PollSummary
from worker.provider import Page, Provider
from worker.revision import content_hash
from worker.store import notifications, outbox, rejected, sources
from worker.store.notifications import Stored
from worker.store.outbox import Stream
from worker.store.session import Database
from worker.store.sources import Lease, Setback

LONGEST_WAIT = timedelta(hours=1)
_FIRST_WAIT = timedelta(seconds=1)
_log = structlog.get_logger("poll")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One source as configured: whom to ask, how often, how far back, and who wants to hear of it."""

    source: str
    provider: Provider
    schedule: Schedule
    overlap: timedelta
    interests: tuple[Interest, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a poll needs of the world: a database, a clock, dice, and whether the process is to end.

    `held` are the leases that this process has, for the case that it must end before its polls do.
    """

    database: Database
    clock: Callable[[], datetime]
    random: Random
    stopping: Callable[[], bool] = lambda: False
    held: set[str] = field(default_factory=set)


def poll_source(subscription: Subscription, lease: Lease, world: Surroundings) -> Iterator[PollSummary]:
    """Read one pass, and say after each page's commit how far it has come.

    Raises ProviderError as the provider does, and LeaseLost when another process has the source: what was committed
    stays, and the next pass begins where the last complete one ended.
    """
    provider, reading = subscription.provider, _begin(subscription, lease)
    summary = PollSummary(covered_until=lease.checkpoint.covered_until)
    for page in provider.pages(reading.window):
        now = world.clock()
        items, unfit = normalise_all(provider, page.items, now)
        begins = progress.earliest(provider.contract, lease.start_at, reading.clock_offset(page, now))
        stream = Stream(lease.source_id, lease.source, provider.slug, begins)
        with world.database.transaction() as session:
            sources.renew(session, lease, now)
            stored = notifications.store_page(session, lease.source_id, lease.source, items, now)
            rejected.keep(session, lease.source_id, (*unfit, *stored.refused), now)
            outbox.owe(session, stream, stored, subscription.interests, now)
            reading = reading.after(page, _kept(items, stored), notifications.ids_of(stored.revisions), now)
            sources.advance(session, lease, reading.checkpoint, now)
        summary = _count(summary, page, stored, len(unfit), reading.checkpoint.covered_until)
        yield summary
        if reading.complete:
            return
    raise ContractBroken("the last page never came")


def poll(subscription: Subscription, world: Surroundings, *, only_due: bool) -> PollSummary | None:
    """One poll under a lease, with its row in the ledger. None: another process polls it, or it is not due, or paused.

    Raises ProviderError after writing down what follows from it: when it is tried again, or that the source is paused.
    """
    with world.database.transaction() as session:
        lease = sources.acquire(session, subscription.source, world.clock(), only_due=only_due)
        if lease:
            sources.record_window(session, lease.poll_run_id, _begin(subscription, lease).window)
    if lease is None:
        return None
    world.held.add(lease.token)
    try:
        return _poll_under(lease, subscription, world)
    finally:
        world.held.discard(lease.token)


def _begin(subscription: Subscription, lease: Lease) -> Pass:
    contract, overlap = subscription.provider.contract, subscription.overlap
    return progress.begin(contract, lease.checkpoint, lease.start_at, overlap, lease.acquired_at)


def _poll_under(lease: Lease, subscription: Subscription, world: Surroundings) -> PollSummary:
    summary = PollSummary()
    try:
        for summary in poll_source(subscription, lease, world):  # what it came to, also when it fails
            if world.stopping():
                _put_back(world, lease, summary)
                return summary
    except LeaseLost:
        _log.warning("poll.lease_lost", source=lease.source)
        raise
    except Exception as error:
        _set_back(subscription, world, lease, summary, error)
        raise
    _settle(subscription, world, lease, summary)
    return summary


def normalise_all(provider: Provider, raw: Sequence[Any], now: datetime) -> tuple[list[Normalised], list[RejectedItem]]:
    """The items in our words, in their order; what can't be normalised comes back as rejected."""
    items, unfit = [], []
    for item in raw:
        try:
            items.append(_normalised(provider, item, now))
        except ItemRejected as rejection:
            unfit.append(RejectedItem(item, rejection.detail))
        except Exception as fault:  # noqa: BLE001  # one bad item never holds up its page, even when the fault is ours
            _log.exception("poll.item_rejected")
            unfit.append(RejectedItem(item, f"normalising it failed: {type(fault).__name__}"))
    return items, unfit


def _normalised(provider: Provider, item: Any, now: datetime) -> Normalised:
    if not isinstance(item, dict):
        raise ItemRejected("it is no object")
    notification = provider.normalise(item, now)
    return Normalised(notification, content_hash(notification, provider.contract.volatile))


def setback(error: Exception, subscription: Subscription, failures: int, now: datetime, random: Random) -> Setback:
    """What follows from a failed poll: whose move it is (DESIGN, section 5; POLLING, section 5)."""
    reason = str(error) if isinstance(error, ProviderError) else f"an error of our own: {type(error).__name__}"
    wait = full_jitter(failures, shortest(subscription.schedule, _FIRST_WAIT), LONGEST_WAIT, random)
    if isinstance(error, RateLimited) and error.retry_after is not None:
        wait = max(wait, error.retry_after)
    return Setback(reason, now + wait, paused=isinstance(error, AuthFailed))


def _kept(items: Sequence[Normalised], stored: Stored) -> Sequence[Normalised]:
    """Without what the database refused: it never moves the high-water mark (POLLING, section 6)."""
    refused = [item.raw for item in stored.refused]
    return [item for item in items if item.notification.raw not in refused] if refused else items


def _count(summary: PollSummary, page: Page, stored: Stored, unfit: int, covered: datetime | None) -> PollSummary:
    new = sum(1 for revision in stored.revisions if revision.number == 1)
    refused = unfit + len(stored.refused)
    return replace(
        summary,
        pages=summary.pages + 1,
        fetched=summary.fetched + len(page.items),
        new=summary.new + new,
        changed=summary.changed + len(stored.revisions) - new,
        unchanged=summary.unchanged + len(page.items) - refused - len(stored.revisions),
        rejected=summary.rejected + refused,
        repairs=summary.repairs + page.repairs,
        covered_until=covered,
    )


def _settle(subscription: Subscription, world: Surroundings, lease: Lease, summary: PollSummary) -> None:
    now = world.clock()
    with world.database.transaction() as session:
        sources.settle(session, lease, next_moment(lease.source, subscription.schedule, now), now)
        sources.record_run(session, lease.poll_run_id, summary, None, now)
    if lease.failures:
        _log.info("poll.recovered", source=lease.source, failures=lease.failures)
    _log.debug("poll.done", source=lease.source, pages=summary.pages, new=summary.new, changed=summary.changed)


def _set_back(
    subscription: Subscription, world: Surroundings, lease: Lease, summary: PollSummary, error: Exception
) -> None:
    now = world.clock()
    follows = setback(error, subscription, lease.failures + 1, now, world.random)
    with world.database.transaction() as session:
        sources.set_back(session, lease, follows, now)
        sources.record_run(session, lease.poll_run_id, summary, follows.reason, now)
    if follows.paused:
        _log.error("poll.paused", source=lease.source, reason=follows.reason)
    elif not lease.failures:
        _log.warning("poll.failing", source=lease.source, reason=follows.reason, next_poll_at=follows.next_poll_at)


def _put_back(world: Surroundings, lease: Lease, summary: PollSummary) -> None:
    with world.database.transaction() as session:
        sources.put_back(session, lease.token)
        sources.record_run(session, lease.poll_run_id, summary, "the process was told to end", world.clock())
