"""The backfill spine: a source's past in windows; each page a commit, each window done with its last page (POLLING, 2).

It runs in the foreground, beside the polls: it holds no source's lease and never moves a checkpoint. Whatever a crash
cuts off is one window; the same past asked for again goes on with what is left, also by several processes at once.
"""

import os
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from sqlmodel import Session

from worker import past
from worker.errors import AuthFailed, ContractBroken, LeaseLost, ProviderError, RateLimited
from worker.hindsight import Errand, take_in
from worker.intake import Subscription, Surroundings
from worker.notification import rfc3339
from worker.past import Edge, Extent, Past, Span, Tally
from worker.store import backfills
from worker.store.backfills import Claim
from worker.store.session import TROUBLE

WAITS = tuple(timedelta(seconds=seconds) for seconds in (2, 5, 15, 30, 60))
"""After the first, second, … failure of one window; after one more than these it is given up."""

_SLICE = timedelta(seconds=5)
_NOTHING = timedelta()
_MOMENT = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is after a commit, and what all of it came to so far, over all interruptions."""

    tally: Tally
    extent: Extent
    since: datetime
    until: datetime
    resumed: bool


def _token() -> str:
    return f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Watch:
    """The waits of a command that a person watches: `wait` waits, `tell` says why. `token`: marks our claims."""

    world: Surroundings
    wait: Callable[[timedelta], None]
    tell: Callable[[str], None]
    token: str = field(default_factory=_token)

    def abandoned(self, token: str) -> bool:
        """Whether a process of this machine had it that is no more; of another machine's nobody knows."""
        host, _, rest = token.partition("/")
        pid, _, _ = rest.partition("/")
        if host != socket.gethostname() or not pid.isdecimal():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False

    def wait_out(self, limit: RateLimited) -> None:
        """As long as the provider asks; then the same request is made again. Raises the limit where it doesn't say."""
        if limit.retry_after is None:
            raise limit
        self.pause(limit.retry_after, str(limit))

    def pause(self, span: timedelta, why: str) -> None:
        """Wait, and keep what is claimed meanwhile."""
        if span > _NOTHING:
            self.tell(f"{why} Going on at {rfc3339((self.world.clock() + span).replace(microsecond=0))}.")
        while span > _NOTHING:
            self.wait(min(span, _SLICE))
            span -= _SLICE
            with self.world.database.transaction() as session:
                backfills.keep(session, self.token, self.world.clock())


def backfill(subscription: Subscription, wanted: Past, watch: Watch) -> Generator[Progress, None, None]:
    """Read what is left of a past, to its end; after each commit, how far it is.

    Raises ProviderError after several attempts, AuthFailed at once: what was done stays done.
    """
    contract, world = subscription.provider.contract, watch.world
    with world.database.transaction() as session:
        begun = backfills.begin(session, subscription.source, wanted, partial(past.cut, contract), world.clock())
    try:
        yield from _Reading(Errand(subscription, wanted, begun), watch).windows()
    finally:
        with suppress(*TROUBLE), world.database.transaction() as session:
            backfills.release(session, watch.token)


class _Reading:
    """A backfill under way in this process. `_extent`: how far it was when the last window was claimed."""

    def __init__(self, errand: Errand, watch: Watch) -> None:
        self._errand, self._watch = errand, watch
        self._provider = errand.subscription.provider
        self._database, self._clock = watch.world.database, watch.world.clock
        self._extent: Extent
        self._not_before: datetime | None = None

    def windows(self) -> Generator[Progress, None, None]:
        """Window after window, until there is none; those that another process reads are waited for."""
        joined, failures = 1, 0
        self._release_abandoned()
        while True:
            claim, tally = self._claim(joined)
            yield self._progress(tally)
            if claim is None:
                if self._extent.done:
                    return
                self._await_others()
                continue
            self._leave_alone()
            try:
                pages = yield from self._read(claim)
            except LeaseLost:
                continue
            except ProviderError as error:
                failures += 1
                self._watch.pause(_wait(error, failures), f"{error} It is tried again.")
                continue
            joined, failures = past.stride(claim.joined, pages), 0

    def _claim(self, joined: int) -> tuple[Claim | None, Tally]:
        begun = self._errand.begun
        with self._database.transaction() as session:
            claim = backfills.claim(session, begun, self._watch.token, joined, self._clock())
            self._extent = backfills.extent(session, begun.id)
            return claim, backfills.tally(session, begun.id)

    def _read(self, claim: Claim) -> Generator[Progress, None, int]:
        """One window to its end, or until it turns out to be too large; the pages that this took."""
        contract, subscription = self._provider.contract, self._errand.subscription
        edge = Edge(contract, self._errand.begun.since, subscription.overlap)
        pages = rows = 0
        for page in self._provider.pages(past.asked(contract, claim.span)):
            pages, rows = pages + 1, rows + len(page.items)
            self._not_before = page.not_before
            parts = [] if page.last else past.parted(contract, claim.span, pages, rows)
            with self._database.transaction() as session:
                items, counts = take_in(session, self._errand, page, self._clock())
                tally = backfills.count(session, claim.backfill_id, counts)
                ended = page.last or edge.passed(items)
                self._mark(session, claim, parts, ended=ended)
            yield self._progress(tally)
            if ended or parts:
                return pages
        raise ContractBroken("the last page never came")

    def _mark(self, session: Session, claim: Claim, parts: Sequence[Span], *, ended: bool) -> None:
        """Raises LeaseLost: then nothing of the page is written."""
        if ended:
            backfills.finish(session, claim, self._clock())
        elif parts:
            backfills.part(session, claim, parts)
        else:
            backfills.renew(session, claim, self._clock())

    def _leave_alone(self) -> None:
        until, now = self._not_before, self._clock()
        if until and until > now:
            self._watch.pause(until - now, "The provider asks to be left alone for a while.")

    def _await_others(self) -> None:
        left = self._extent.free_at - self._clock() if self._extent.free_at else _SLICE
        self._watch.tell("Another process is reading what is left, or was; waiting for it.")
        self._watch.wait(max(min(left, _SLICE), _MOMENT))
        self._release_abandoned()

    def _release_abandoned(self) -> None:
        """What a crash left claimed need not wait for the claim's end, where the crash can be seen."""
        with self._database.transaction() as session:
            for token in backfills.tokens(session, self._errand.begun.id):
                if self._watch.abandoned(token):
                    backfills.release(session, token)

    def _progress(self, tally: Tally) -> Progress:
        begun = self._errand.begun
        return Progress(tally, self._extent, begun.since, begun.until, begun.resumed)


def _wait(error: ProviderError, failures: int) -> timedelta:
    """How long until the window is tried again. Raises the error where that makes no sense."""
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return error.retry_after
    if isinstance(error, AuthFailed) or failures > len(WAITS):
        raise error
    return WAITS[failures - 1]
