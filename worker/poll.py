"""The poll spine: pages in; notifications, messages, deliveries and progress out, a commit a page (DESIGN, 3)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

import structlog

from worker import announce, clocks, progress
from worker.acknowledge import acknowledge
from worker.backoff import full_jitter
from worker.errors import AuthFailed, LeaseLost, ProviderError, RateLimited, Unavailable
from worker.follow import follow
from worker.following import Followed, Following, whole
from worker.intake import Subscription, Surroundings, Taken, take_in
from worker.meter import Ending, ending_of
from worker.moment import lags, next_moment, shortest
from worker.progress import Checkpoint, Pass, PollSummary
from worker.provider import Page
from worker.rest.manners import LONGEST_REST
from worker.store import sources
from worker.store.patience import patiently
from worker.store.session import PASSING, reason
from worker.store.sources import Lease, Setback

LONGEST_WAIT = timedelta(hours=1)
_FIRST_WAIT = timedelta(seconds=1)
_AFTER_TROUBLE = timedelta(seconds=5)
_log = structlog.get_logger("poll")


def poll_source(subscription: Subscription, lease: Lease, world: Surroundings) -> Iterator[PollSummary]:
    """Read one pass, then what is due of the open notifications, then acknowledge; after each commit, how far it is.

    Raises ProviderError as the provider does, and LeaseLost when another process has the source: what was committed
    stays, and the next pass begins where the last complete one ended.
    """
    reading = _reading(subscription, lease, world)
    world.cut_short.pop(lease.source, None)
    summary, committed = PollSummary(covered_until=lease.checkpoint.covered_until), lease.checkpoint
    try:
        for page in whole(subscription.provider.pages(reading.window)):
            came_at = world.clock()
            at = replace(lease.checkpoint, clock_offset=reading.clock_offset(page, came_at))
            with world.database.transaction() as session:
                now = world.clock()  # others may have had their turn before us
                sources.renew(session, lease, now)
                taken = take_in(session, subscription, replace(lease, checkpoint=at), page.items, now)
                reading = reading.after(page, taken.items, taken.changed, now)
                if reading.checkpoint != committed:
                    sources.advance(session, lease, reading.checkpoint, now)
            committed = reading.checkpoint
            reading.store_page()
            _meter(world, lease, at, taken, came_at)
            summary = _counted(summary, page, taken, reading)
            yield summary
            if reading.complete:
                break
    except (RateLimited, Unavailable):
        if reading.may_go_on:
            world.cut_short[lease.source] = reading
        raise
    for step in follow(Following.after(subscription, lease, world, reading)):
        summary = _followed(summary, step)
        yield summary
    for _ in acknowledge(subscription, lease, world):
        yield summary


def poll(subscription: Subscription, world: Surroundings, *, only_due: bool) -> PollSummary | None:
    """One poll under a lease, with its row in the ledger. None: another process polls it, or it is not due, or paused.

    Raises ProviderError after writing down what follows from it: when it is tried again, or that the source is paused.
    """
    with world.database.transaction() as session:
        lease = sources.acquire(session, subscription.source, world.clock(), only_due=only_due)
        if lease:
            sources.record_window(session, lease.poll_run_id, _reading(subscription, lease, world).window)
    if lease is None:
        return None
    world.held.add(lease.token)
    try:
        return _poll_under(lease, subscription, world)
    finally:
        world.held.discard(lease.token)


def _reading(subscription: Subscription, lease: Lease, world: Surroundings) -> Pass:
    """The pass that was cut short, if nobody has come further since; else a new one."""
    cut_short = world.cut_short.get(lease.source)
    if cut_short and cut_short.goes_on(lease.checkpoint, subscription.overlap):
        return cut_short
    contract, overlap = subscription.provider.contract, subscription.overlap
    return progress.begin(contract, lease.checkpoint, lease.start_at, overlap, lease.acquired_at)


def _poll_under(lease: Lease, subscription: Subscription, world: Surroundings) -> PollSummary:
    summary, told = PollSummary(), 0
    try:
        for summary in poll_source(subscription, lease, world):  # what it came to, also when it fails
            if told < summary.new + summary.changed:
                told = summary.new + summary.changed
                world.owed()
            if world.stopping():
                patiently(partial(_put_back, world, lease, summary))
                world.meter.polled(lease.source, summary, Ending.STOPPED)
                return summary
    except Exception as error:
        world.meter.polled(lease.source, summary, ending_of(error))
        if isinstance(error, LeaseLost):
            _log.warning("poll.lease_lost", source=lease.source)
        else:
            _set_back(subscription, world, lease, summary, error)
        raise
    _settle(subscription, world, lease, summary)
    world.meter.polled(lease.source, summary, Ending.DONE)
    return summary


def setback(error: Exception, subscription: Subscription, failures: int, now: datetime, random: Random) -> Setback:
    """What follows from a failed poll: whose move it is (DESIGN, section 5; POLLING, section 5).

    Our database's trouble is no failure of the source.
    """
    if isinstance(error, PASSING):
        return Setback(
            f"database: {reason(error)}", now + full_jitter(1, _AFTER_TROUBLE, LONGEST_WAIT, random), failed=False
        )
    why = str(error) if isinstance(error, ProviderError) else f"an error of our own: {type(error).__name__}"
    told_to_wait = error.retry_after if isinstance(error, RateLimited) else None
    wait = full_jitter(failures, shortest(subscription.schedule, _FIRST_WAIT), LONGEST_WAIT, random)
    if told_to_wait is not None:
        wait = max(full_jitter(1, _FIRST_WAIT, LONGEST_WAIT, random), min(told_to_wait, LONGEST_REST))
    return Setback(why, now + wait, paused=isinstance(error, AuthFailed), failed=told_to_wait is None)


def _meter(world: Surroundings, lease: Lease, at: Checkpoint, taken: Taken, seen_at: datetime) -> None:
    """What was there before the first reading ended waited for no poll of ours."""
    known = lease.checkpoint.covered_until is not None
    waited = clocks.waited(taken.revisions, lease.start_at, seen_at, at.clock_offset) if known else []
    world.meter.stored(lease.source, waited, world.clock() - seen_at)


def _counted(summary: PollSummary, page: Page, taken: Taken, reading: Pass) -> PollSummary:
    return replace(
        _with(summary, page, taken),
        covered_until=reading.checkpoint.covered_until,
        not_before=reading.not_before,
        complete=reading.complete,
    )


def _followed(summary: PollSummary, step: Followed) -> PollSummary:
    if step.page is None or step.taken is None:
        return replace(summary, changed=summary.changed + step.ended)
    return _with(summary, step.page, step.taken)


def _with(summary: PollSummary, page: Page, taken: Taken) -> PollSummary:
    new = sum(1 for revision in taken.revisions if revision.number == 1)
    return replace(
        summary,
        pages=summary.pages + 1,
        fetched=summary.fetched + len(page.items),
        new=summary.new + new,
        changed=summary.changed + len(taken.revisions) - new,
        unchanged=summary.unchanged + len(page.items) - taken.rejected - len(taken.revisions),
        rejected=summary.rejected + taken.rejected,
        repairs=summary.repairs + page.repairs,
    )


def _settle(subscription: Subscription, world: Surroundings, lease: Lease, summary: PollSummary) -> None:
    now = world.clock()

    def settled() -> None:
        with world.database.transaction() as session:
            moment = next_moment(lease.source, subscription.schedule, now)
            if sources.settle(session, lease, max(moment, summary.not_before or moment), now):
                announce.recovered(session, subscription, now)
            sources.record_run(session, lease.poll_run_id, summary, None, now)

    patiently(settled)
    if lease.failures:
        _log.info("poll.recovered", source=lease.source, failures=lease.failures)
    _log.debug("poll.done", source=lease.source, pages=summary.pages, new=summary.new, changed=summary.changed)


def _set_back(
    subscription: Subscription, world: Surroundings, lease: Lease, summary: PollSummary, error: Exception
) -> None:
    now = world.clock()
    follows = setback(error, subscription, lease.failures + 1, now, world.random)
    if summary.complete and not isinstance(error, RateLimited):
        follows = replace(follows, next_poll_at=_no_later(follows.next_poll_at, subscription, now))

    def written() -> Setback:
        with world.database.transaction() as session:
            behind = lags(lease.source, subscription.schedule, sources.complete_until(session, lease), now)
            known = replace(follows, failed=follows.failed or behind)
            if sources.set_back(session, lease, known, now):
                announce.failing(session, subscription, now)
            sources.record_run(session, lease.poll_run_id, summary, known.reason, now)
            return known

    follows = patiently(written)
    if follows.paused:
        _log.error("poll.paused", source=lease.source, reason=follows.reason)
    elif not follows.failed:
        _log.info("poll.put_off", source=lease.source, reason=follows.reason, next_poll_at=follows.next_poll_at)
    elif not lease.failures:
        _log.warning("poll.failing", source=lease.source, reason=follows.reason, next_poll_at=follows.next_poll_at)


def _no_later(next_poll_at: datetime, subscription: Subscription, now: datetime) -> datetime:
    """What failed was not the live pass: that goes on at its usual moments."""
    return min(next_poll_at, next_moment(subscription.source, subscription.schedule, now))


def _put_back(world: Surroundings, lease: Lease, summary: PollSummary) -> None:
    with world.database.transaction() as session:
        sources.put_back(session, lease.token)
        sources.record_run(session, lease.poll_run_id, summary, "the process was told to end", world.clock())
