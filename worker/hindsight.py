"""Taking in pages of the past: stored in silence, or owed like what is new; a change of what was known is always told.

What a poll would find as well is no past: whoever comes first, it is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from worker import past
from worker.intake import Subscription, normalise_all
from worker.notification import Normalised
from worker.past import Past, Presence, Tally
from worker.provider import Page
from worker.revision import notification_id
from worker.store import backfills, endings, notifications, outbox, rejected
from worker.store.backfills import Begun
from worker.store.notifications import Stored
from worker.store.outbox import Stream


@dataclass(frozen=True, slots=True)
class Errand:
    """What all pages of a backfill have in common."""

    subscription: Subscription
    past: Past
    begun: Begun


def take_in(session: Session, errand: Errand, page: Page, now: datetime) -> tuple[Sequence[Normalised], Tally]:
    """Store a page and owe what follows from it; its items, those that don't belong too, and what it came to.

    From here to the commit the source's row is locked, as a poll's page locks it.
    """
    subscription, begun = errand.subscription, errand.begun
    presence = backfills.presence(session, begun.source_id, subscription.overlap, subscription.track_for, now)
    items, unfit = normalise_all(subscription.provider, page.items, now)
    ours = past.belonging(subscription.provider.contract, begun.since, begun.until, items)
    given = [(item.notification.external_id, item.content_hash) for item in ours]
    differing = notifications.look_up(session, begun.source_id, begun.source, given)
    stored = notifications.store_page(session, differing, ours, now)
    rejected.keep(session, begun.source_id, (*unfit, *stored.refused), now)
    if errand.past.deliver:
        stream = _stream(errand)
        owed = outbox.owe(session, stream, stored, subscription.interests, now)
        owed += outbox.owe_after_all(session, _known(begun, ours, stored), now)
    else:
        owed = _owe_changes(session, errand, stored, presence, now)
    return items, replace(_counted(page, ours, stored, len(unfit)), owed=owed)


def _owe_changes(session: Session, errand: Errand, stored: Stored, presence: Presence, now: datetime) -> int:
    """Owe what is to be told; what is new and of the past is stored in silence.

    In silence it also expires, where it is long past that: else the next poll would tell of the end of what nobody was
    told of.
    """
    begun, interests = errand.begun, errand.subscription.interests
    new = {one.item.notification.external_id for one in stored.revisions if one.number == 1}
    latest = {one.item.notification.external_id: one.item.notification for one in stored.revisions}
    silent = {name for name in new if past.is_past(latest[name], presence)}
    over = [name for name in silent if past.is_overdue(latest[name], presence)]
    stream = replace(_stream(errand), silent=frozenset(silent))
    owed = outbox.owe(session, stream, stored, interests, now)
    if over:
        volatile = errand.subscription.provider.contract.volatile
        expired = endings.expire(session, begun.source_id, begun.source, over, volatile)
        outbox.owe(session, stream, expired, interests, now)
    return owed


def _stream(errand: Errand) -> Stream:
    """Without a `start_at`: who asks for the past wants what lies before it."""
    begun = errand.begun
    return Stream(begun.source_id, begun.source, errand.subscription.provider.slug, None)


def _known(begun: Begun, items: Sequence[Normalised], stored: Stored) -> list[UUID]:
    """Those of the page that were in the store already, as they are."""
    told = notifications.ids_of(stored.revisions)
    names = {item.notification.external_id for item in items} - told
    return [notification_id(begun.source, name) for name in names]


def _counted(page: Page, ours: Sequence[Normalised], stored: Stored, unfit: int) -> Tally:
    new = sum(1 for revision in stored.revisions if revision.number == 1)
    return Tally(
        pages=1,
        fetched=len(page.items),
        new=new,
        changed=len(stored.revisions) - new,
        unchanged=len(ours) - len(stored.revisions) - len(stored.refused),
        rejected=unfit + len(stored.refused),
        repairs=page.repairs,
    )
