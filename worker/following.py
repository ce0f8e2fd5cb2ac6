"""What all steps of following a source have in common: whom to ask, under which lease, by whose clock."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from worker.errors import ContractBroken
from worker.intake import Subscription, Surroundings, Taken, stream_of, take_in
from worker.moment import next_moment
from worker.progress import Pass, begin
from worker.provider import Contract, Page, Provider
from worker.store import buckets, outbox, sources
from worker.store.cutting import Cut
from worker.store.notifications import Stored
from worker.store.sources import Lease
from worker.tracking import Bucket, look_again_at

Take = Callable[[Session, Subscription, Lease, Sequence[Any], datetime], Taken]
When = Callable[[Bucket, timedelta, datetime, datetime], datetime]


@dataclass(frozen=True, slots=True)
class Followed:
    """One step, committed: a page that was read and what it came to, or revisions that no page tells of."""

    page: Page | None = None
    taken: Taken | None = None
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Following:
    """What the steps have in common. `until`: what occurred before is read by no pass, and needs a bucket."""

    subscription: Subscription
    lease: Lease
    world: Surroundings
    reading: Pass
    until: datetime | None

    @classmethod
    def after(cls, subscription: Subscription, lease: Lease, world: Surroundings, reading: Pass) -> "Following":
        """What follows a complete live pass: what the next pass reads again by itself needs no bucket."""
        return cls(subscription, lease, world, reading, _unread_before(subscription, lease, reading))

    @property
    def provider(self) -> Provider:
        """Whom to ask."""
        return self.subscription.patient_provider

    @property
    def contract(self) -> Contract:
        """What is known of its API."""
        return self.subscription.provider.contract

    @property
    def now(self) -> datetime:
        """Our clock."""
        return self.world.clock()

    @property
    def provider_now(self) -> datetime:
        """The provider's clock."""
        return self.now + self.reading.checkpoint.clock_offset

    @property
    def ends_at(self) -> datetime:
        """When the next live pass is due; then that comes first, and the rest of what is due follows it."""
        lease, schedule = self.lease, self.subscription.schedule
        return max(next_moment(lease.source, schedule, lease.acquired_at), lease.acquired_at + schedule.interval)

    @property
    def cut(self) -> Cut:
        """How its buckets are cut."""
        return Cut(self.lease.source_id, self.until, self.contract.page_size, self.contract.grain)

    def store(self, page: Page, take: Take = take_in) -> Taken:
        """Store a page, in a commit of its own. Raises LeaseLost. An empty one needs none while the lease is new."""
        now = self.now
        if not page.items and now < self.lease.acquired_at + sources.LEASE_FOR / 3:
            return Taken((), (), 0)
        with self.world.database.transaction() as session:
            sources.renew(session, self.lease, now)
            return take(session, self.subscription, self.lease, page.items, now)

    def put_off(self, session: Session, together: Sequence[Bucket], when: When) -> None:
        """Say when these buckets are looked at again."""
        interval, provider_now, now = self.subscription.schedule.interval, self.provider_now, self.now
        until = {bucket.id: when(bucket, interval, provider_now, now) for bucket in together}
        buckets.put_off(session, self.lease.source_id, until)

    def look(self, bucket: Bucket) -> datetime:
        """When a bucket that was read now is to be read again."""
        return look_again_at(bucket, self.subscription.schedule.interval, self.provider_now, self.now)

    def owe(self, session: Session, stored: Stored, now: datetime) -> None:
        """Owe what is told of ended notifications."""
        outbox.owe(session, stream_of(self.subscription, self.lease), stored, self.subscription.interests, now)


def whole(pages: Iterator[Page]) -> Iterator[Page]:
    """The pages up to the last. Raises ContractBroken if it never comes."""
    for page in pages:
        yield page
        if page.last:
            return
    raise ContractBroken("the last page never came")


def _unread_before(subscription: Subscription, lease: Lease, reading: Pass) -> datetime | None:
    """From where on the next pass reads everything; None: all of it."""
    contract = subscription.provider.contract
    if contract.from_id:
        return lease.acquired_at + reading.checkpoint.clock_offset
    if contract.filters_from:
        window = begin(contract, reading.checkpoint, lease.start_at, subscription.overlap, lease.acquired_at).window
        return window.start + contract.grain if window.start else None
    high_water = reading.checkpoint.high_water
    return high_water - subscription.overlap if high_water else None
