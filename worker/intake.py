"""Taking items in: in our words, into the store, and owed to whom they concern, in one transaction (DESIGN, rule 1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import structlog
from sqlmodel import Session

from worker.errors import ItemRejected
from worker.interest import Interest
from worker.meter import UNMETERED, Meter
from worker.moment import Schedule
from worker.notification import Normalised, Notification, RejectedItem
from worker.progress import Pass, earliest
from worker.provider import Provider
from worker.revision import Revision, content_hash
from worker.settings import Acknowledge
from worker.store import endings, notifications, outbox, rejected
from worker.store.notifications import Stored
from worker.store.outbox import Stream
from worker.store.session import Database
from worker.store.sources import Lease

_log = structlog.get_logger("intake")


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
    that could go no further for now, by source; the next poll goes on with them.
    """

    database: Database
    clock: Callable[[], datetime]
    random: Random
    stopping: Callable[[], bool] = lambda: False
    held: set[str] = field(default_factory=set)
    meter: Meter = UNMETERED
    cut_short: dict[str, Pass] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page came to: the items in our words, what is to be told of them, and how many were rejected.

    `seen`: the external ids of all that had one, also of what the database refused.
    """

    items: Sequence[Normalised]
    revisions: Sequence[Revision]
    rejected: int
    seen: frozenset[str] = frozenset()

    @property
    def changed(self) -> set[str]:
        """The external ids of what was new or different."""
        return notifications.ids_of(self.revisions)


def take_in(session: Session, subscription: Subscription, lease: Lease, raw: Sequence[Any], now: datetime) -> Taken:
    """Store a page and owe what follows from it. The caller holds the lease, and commits."""
    provider_now = now + lease.checkpoint.clock_offset
    items, unfit = normalise_all(subscription.provider, raw, provider_now)
    aged = [as_first_seen(item, subscription, provider_now) for item in items]
    return _kept_and_owed(session, subscription, lease, (aged, unfit), now)


def take_changes(
    session: Session, subscription: Subscription, lease: Lease, raw: Sequence[Any], now: datetime
) -> Taken:
    """Like `take_in`, of rows that were asked for because they changed after `start_at`.

    One that is older than that, and was never stored, is told as a change (CLARIFICATIONS, 7).
    """
    items, unfit = normalise_all(subscription.provider, raw, now + lease.checkpoint.clock_offset)
    told = [replace(item, changed=_changed_since(item.notification, lease.start_at)) for item in items]
    return _kept_and_owed(session, subscription, lease, (told, unfit), now)


def as_first_seen(item: Normalised, subscription: Subscription, provider_now: datetime) -> Normalised:
    """With what it is stored as if it was not known: its time may be over already (CLARIFICATIONS, 6)."""
    notification = item.notification
    tracked_since = provider_now - subscription.track_for
    over = notification.expires_at and notification.expires_at <= provider_now
    old = notification.occurred_at and notification.occurred_at <= tracked_since
    if not item.open or not (over or old):
        return item
    return replace(item, if_new=endings.expired(notification, subscription.provider.contract.volatile))


def _changed_since(notification: Notification, start_at: datetime | None) -> bool:
    if start_at is None or notification.occurred_at is None or notification.occurred_at >= start_at:
        return False
    return notification.updated_at is None or notification.updated_at >= start_at


def _kept_and_owed(
    session: Session,
    subscription: Subscription,
    lease: Lease,
    read: tuple[Sequence[Normalised], Sequence[RejectedItem]],
    now: datetime,
) -> Taken:
    items, unfit = read
    stored = notifications.store_page(session, lease.source_id, lease.source, items, now)
    rejected.keep(session, lease.source_id, (*unfit, *stored.refused), now)
    outbox.owe(session, stream_of(subscription, lease), stored, subscription.interests, now)
    seen = frozenset(item.notification.external_id for item in items)
    return Taken(_kept(items, stored), stored.revisions, len(unfit) + len(stored.refused), seen)


def _kept(items: Sequence[Normalised], stored: Stored) -> Sequence[Normalised]:
    """Without what the database refused: it never moves the high-water mark (POLLING, section 6)."""
    refused = [item.raw for item in stored.refused]
    return [item for item in items if item.notification.raw not in refused] if refused else items


def stream_of(subscription: Subscription, lease: Lease) -> Stream:
    """The source, as far as messages tell of it; its start on the provider's clock."""
    provider = subscription.provider
    begins = earliest(provider.contract, lease.start_at, lease.checkpoint.clock_offset)
    return Stream(lease.source_id, lease.source, provider.slug, begins)


def normalise_all(provider: Provider, raw: Sequence[Any], now: datetime) -> tuple[list[Normalised], list[RejectedItem]]:
    """The items in our words, in their order; what can't be normalised comes back as rejected."""
    items, unfit = [], []
    for item in raw:
        try:
            items.append(_normalised(provider, item, now))
        except ItemRejected as rejection:
            unfit.append(RejectedItem(item, rejection.detail))
        except RecursionError:
            unfit.append(RejectedItem(item, "it is nested too deeply"))
        except Exception as fault:  # noqa: BLE001  # one bad item never holds up its page, even when the fault is ours
            _log.exception("poll.item_rejected")
            unfit.append(RejectedItem(item, f"normalising it failed: {type(fault).__name__}"))
    return items, unfit


def _normalised(provider: Provider, item: Any, now: datetime) -> Normalised:
    if not isinstance(item, dict):
        raise ItemRejected("it is no object")
    notification = provider.normalise(item, now)
    contract = provider.contract
    return Normalised(notification, content_hash(notification, contract.volatile), contract.closed)
