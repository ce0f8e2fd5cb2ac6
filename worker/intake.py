"""Taking items in: in our words, into the store, and owed to whom they concern, in one transaction (DESIGN, rule 1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple, TypeVar

import structlog
from sqlmodel import Session

from worker.errors import ItemRejected
from worker.interest import Interest
from worker.meter import UNMETERED, Meter
from worker.moment import Schedule
from worker.notification import Item, Normalised, Notification, Outlined, RejectedItem
from worker.progress import Pass, earliest
from worker.provider import Provider
from worker.revision import Revision, content_hash
from worker.settings import Acknowledge
from worker.store import endings, notifications, outbox, rejected
from worker.store.notifications import Differing
from worker.store.outbox import Stream
from worker.store.session import Database
from worker.store.sources import Lease

_log = structlog.get_logger("intake")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One source as configured: whom to ask, how often, how far back, how long to follow, whom to tell."""

    source: str
    provider: Provider
    schedule: Schedule
    overlap: timedelta
    track_for: timedelta
    interests: tuple[Interest, ...]
    patient: Provider | None = None
    acknowledge: Acknowledge = "never"

    @property
    def patient_provider(self) -> Provider:
        """Whom to ask for what can wait: the same provider, whose requests leave live polls their part of a budget."""
        return self.patient or self.provider


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a poll needs of the world: a database, a clock, dice, and whether the process is to end.

    `held` are the leases that this process has, for the case that it must end before its polls do. `cut_short`: passes
    that could go no further for now, by source; the next poll goes on with them. `owed` is called after each commit
    that tells of something new, for its deliveries not to wait until the poll has ended.
    """

    database: Database
    clock: Callable[[], datetime]
    random: Random
    stopping: Callable[[], bool] = lambda: False
    held: set[str] = field(default_factory=set)
    meter: Meter = UNMETERED
    cut_short: dict[str, Pass] = field(default_factory=dict)
    owed: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page came to: its items, as outlines; what is to be told of them; and how many were rejected.

    `seen`: the external ids of all that had one, also of what the database refused.
    """

    items: Sequence[Outlined]
    revisions: Sequence[Revision]
    rejected: int
    seen: frozenset[str] = frozenset()

    @property
    def changed(self) -> set[str]:
        """The external ids of what was new or different."""
        return notifications.ids_of(self.revisions)


class Read(NamedTuple):
    """An item's outline and its hash: all that is needed of one that is known and as it was."""

    outline: Outlined
    content_hash: str


@dataclass(frozen=True, slots=True)
class _Sifted:
    """A page beside what is stored of it. `items`: what is new or different, whole."""

    outlines: Sequence[Outlined]
    differing: Differing
    items: Sequence[Normalised]
    unfit: Sequence[RejectedItem]


def take_in(session: Session, subscription: Subscription, lease: Lease, raw: Sequence[Any], now: datetime) -> Taken:
    """Store a page and owe what follows from it. The caller holds the lease, and commits."""
    provider_now = now + lease.checkpoint.clock_offset
    page = _sifted(session, subscription.provider, lease, raw, provider_now)
    aged = [as_first_seen(item, subscription, provider_now) for item in page.items]
    return _kept_and_owed(session, subscription, lease, replace(page, items=aged), now)


def take_changes(
    session: Session, subscription: Subscription, lease: Lease, raw: Sequence[Any], now: datetime
) -> Taken:
    """Like `take_in`, of rows that were asked for because they changed after `start_at`.

    One that is older than that, and was never stored, is told as a change (CLARIFICATIONS, 7).
    """
    page = _sifted(session, subscription.provider, lease, raw, now + lease.checkpoint.clock_offset)
    told = [item._replace(changed=_changed_since(item.notification, lease.start_at)) for item in page.items]
    return _kept_and_owed(session, subscription, lease, replace(page, items=told), now)


def as_first_seen(item: Normalised, subscription: Subscription, provider_now: datetime) -> Normalised:
    """With what it is stored as if it was not known: its time may be over already (CLARIFICATIONS, 6)."""
    notification = item.notification
    tracked_since = provider_now - subscription.track_for
    over = notification.expires_at and notification.expires_at <= provider_now
    old = notification.occurred_at and notification.occurred_at <= tracked_since
    if not item.open or not (over or old):
        return item
    return item._replace(if_new=endings.expired(notification, subscription.provider.contract.volatile))


def _changed_since(notification: Notification, start_at: datetime | None) -> bool:
    if start_at is None or notification.occurred_at is None or notification.occurred_at >= start_at:
        return False
    return notification.updated_at is None or notification.updated_at >= start_at


def _sifted(session: Session, provider: Provider, lease: Lease, raw: Sequence[Any], now: datetime) -> _Sifted:
    """`now`: by the provider's clock. A row that is there twice is taken twice where one of the two differs."""
    reads, unfit = read_all(provider, raw, now)
    given = [(outline.external_id, content_hash) for outline, content_hash in reads]
    differing = notifications.look_up(session, lease.source_id, lease.source, given)
    fresh = [each for each in reads if each.outline.external_id in differing.found] if differing.found else []
    items, unfit_too = _each(fresh, [each.outline.raw for each in fresh], partial(_whole, provider, now))
    return _Sifted([each.outline for each in reads], differing, items, (*unfit, *unfit_too))


def _kept_and_owed(session: Session, subscription: Subscription, lease: Lease, page: _Sifted, now: datetime) -> Taken:
    stored = notifications.store_page(session, page.differing, page.items, now)
    refused = (*page.unfit, *stored.refused)
    rejected.keep(session, lease.source_id, refused, now)
    outbox.owe(session, stream_of(subscription, lease), stored, subscription.interests, now)
    seen = frozenset(outline.external_id for outline in page.outlines)
    return Taken(_kept(page.outlines, refused), stored.revisions, len(refused), seen)


def _kept(outlines: Sequence[Outlined], refused: Sequence[RejectedItem]) -> Sequence[Outlined]:
    """Without what the database refused: it never moves the high-water mark (POLLING, section 6)."""
    raw = [item.raw for item in refused]
    return [outline for outline in outlines if outline.raw not in raw] if raw else outlines


def stream_of(subscription: Subscription, lease: Lease) -> Stream:
    """The source, as far as messages tell of it; its start on the provider's clock."""
    provider = subscription.provider
    begins = earliest(provider.contract, lease.start_at, lease.checkpoint.clock_offset)
    return Stream(lease.source_id, lease.source, provider.slug, begins)


def normalise_all(provider: Provider, raw: Sequence[Any], now: datetime) -> tuple[list[Normalised], list[RejectedItem]]:
    """The items in our words, in their order; what can't be normalised comes back as rejected."""

    def normalised(item: Any) -> Normalised:
        notification = provider.normalise(_object(item), now)
        return _whole(provider, now, Read(notification, content_hash(notification, provider.contract.volatile)))

    return _each(raw, raw, normalised)


def read_all(provider: Provider, raw: Sequence[Any], now: datetime) -> tuple[list[Read], list[RejectedItem]]:
    """The items as far as they are known by, in their order; what is no item comes back as rejected."""
    outline, volatile = provider.outline, provider.contract.volatile

    def read(item: Any) -> Read:
        known_by = outline(item if type(item) is dict else _object(item), now)
        return Read(known_by, content_hash(known_by, volatile))

    return _each(raw, raw, read)


def _each(given: Sequence[T], raw: Sequence[Any], read: Callable[[T], R]) -> tuple[list[R], list[RejectedItem]]:
    """Each of what is given, read; or, where that raises, its raw item, as rejected."""
    items, unfit = [], []
    for each, item in zip(given, raw, strict=True):
        try:
            items.append(read(each))
        except ItemRejected as rejection:
            unfit.append(RejectedItem(item, rejection.detail))
        except RecursionError:
            unfit.append(RejectedItem(item, "it is nested too deeply"))
        except Exception as fault:  # noqa: BLE001  # one bad item never holds up its page, even when the fault is ours
            _log.exception("poll.item_rejected")
            unfit.append(RejectedItem(item, f"normalising it failed: {type(fault).__name__}"))
    return items, unfit


def _object(item: Any) -> Item:
    if not isinstance(item, dict):
        raise ItemRejected("it is no object")
    return item


def _whole(provider: Provider, now: datetime, read: Read) -> Normalised:
    outline = read.outline
    notification = outline if isinstance(outline, Notification) else provider.complete(outline, now)
    return Normalised(notification, read.content_hash, provider.contract.closed)
