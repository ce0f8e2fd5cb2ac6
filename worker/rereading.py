"""Reading buckets of open notifications again: who changed, who is gone (POLLING, section 4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited
from worker.following import Followed, Following, whole
from worker.intake import Taken
from worker.provider import Page
from worker.store import buckets, cutting, endings, sources
from worker.store.cutting import Cut
from worker.tracking import (
    Bucket,
    Member,
    Way,
    look_again_at,
    passed,
    read_together,
    rounds,
    try_again_at,
    way,
    window,
)

_BUCKETS_AT_ONCE = 50
_ALL_BUCKETS = 10_000
_ENDINGS_AT_ONCE = 500


def reread(following: Following) -> Iterator[Followed]:
    """Every bucket that is due, the longest-waiting first, until the next live pass is.

    A bucket that can't be read waits for its next turn, so that it never holds up the others. Raises ProviderError,
    LeaseLost.
    """
    broken: ContractBroken | None = None
    for together in _due_rounds(following):
        try:
            yield from _reread(following, together)
        except (RateLimited, AuthFailed):
            raise
        except ContractBroken as error:
            _try_again_later(following, together)
            broken = broken or error
        except ProviderError:
            _try_again_later(following, together)
            raise
    if broken:
        raise broken


def _due_rounds(following: Following) -> Iterator[list[Bucket]]:
    """What is to be read together; at least one, and more as long as no live pass is due."""
    most = _ALL_BUCKETS if read_together(following.contract) else _BUCKETS_AT_ONCE
    more = True
    while more:
        due = _due(following, most)
        more = len(due) == most
        for together in rounds(following.contract, due):
            yield together
            if following.now >= following.ends_at:
                return


def _due(following: Following, most: int) -> list[Bucket]:
    """The buckets that are due. What is open and too old for the live pass has its bucket from here on.

    A bucket into which too many rows came late is cut again first. Most polls find nothing, and write nothing.
    """
    lease, database = following.lease, following.world.database
    due, marks = list[Bucket](), {"source": lease.source_id, "now": following.now, "until": following.cut.until}
    more = database.finds(buckets.ANYTHING_DUE, **marks)
    while more:
        now = following.now
        with database.transaction() as session:
            sources.renew(session, lease, now)
            more = cutting.fill(session, following.cut, now, following.look)
            due = [] if more else _due_now(session, following.cut, most, now)
    return due


def _due_now(session: Session, cut: Cut, most: int, now: datetime) -> list[Bucket]:
    due = buckets.due(session, cut.source_id, now, most)
    shortened = [bucket for bucket in due if cutting.cut_again(session, cut, bucket)]
    if not shortened:
        return due
    while cutting.fill(session, cut, now, lambda _: now):
        pass
    return buckets.due(session, cut.source_id, now, most)


@dataclass(slots=True)
class _Roll:
    """Who is called, and who was not there. `unfit`: rows that could not be read; they may be who is missing."""

    members: Sequence[Member]
    missing: set[str]
    unfit: int = 0

    def heard(self, taken: Taken) -> None:
        """Whom a page showed is there."""
        self.missing -= taken.seen
        self.unfit += taken.rejected

    def suspects(self) -> list[str]:
        """Who was missing the last time too."""
        return [one.external_id for one in self.members if one.external_id in self.missing and one.absent_too_often]

    def back(self) -> set[str]:
        """Who was missing, and is there after all."""
        return {one.external_id for one in self.members if one.absences and one.external_id not in self.missing}


def _reread(following: Following, together: Sequence[Bucket]) -> Iterator[Followed]:
    """Read buckets in the cheapest way; who was open and is not there was absent once more, and twice is gone."""
    contract = following.contract
    with following.world.database.reading() as session:
        members = buckets.members(session, together)
        chosen = way(
            contract, together, len(members), list_is_long=_list_is_long(session, following, together, members)
        )
    roll = _Roll(members, {one.external_id for one in members})
    if chosen is Way.NOT_AT_ALL:
        roll.missing.clear()
    elif chosen is Way.BY_ID:
        yield from _ask_each(following, sorted(roll.missing), roll)
    else:
        yield from _read_list(following, together, roll)
        if contract.by_id:
            yield from _ask_each(following, roll.suspects(), roll)
        elif roll.unfit:
            roll.missing.clear()
    yield from _close(following, together, roll)


def _list_is_long(
    session: Session, following: Following, together: Sequence[Bucket], members: Sequence[Member]
) -> bool:
    """Whether reading the list as far as the buckets reach costs as much as asking for each member."""
    since = min(bucket.start_at for bucket in together) if all(bucket.dated for bucket in together) else None
    rows = (len(members) - 1) * following.contract.page_size
    return read_together(following.contract) and buckets.reaches(session, following.lease.source_id, since, rows)


def _ask_each(following: Following, external_ids: Sequence[str], roll: _Roll) -> Iterator[Followed]:
    for external_id in external_ids:
        item = following.provider.fetch(external_id)
        page = Page(items=[] if item is None else [item], last=True)
        taken = following.store(page)
        roll.heard(taken)
        if item is not None:
            roll.missing.discard(external_id)
        yield Followed(page, taken)


def _read_list(following: Following, together: Sequence[Bucket], roll: _Roll) -> Iterator[Followed]:
    """As far as it can tell of somebody: to the last that was open, or past the buckets, or to the end."""
    contract, overlap = following.contract, following.subscription.overlap
    for page in whole(following.provider.pages(window(contract, together))):
        taken = following.store(page)
        roll.heard(taken)
        yield Followed(page, taken)
        times = [at for item in taken.items if (at := item.occurred_at)]
        if not roll.missing or passed(contract, together, min(times, default=None), overlap):
            break


def _close(following: Following, together: Sequence[Bucket], roll: _Roll) -> Iterator[Followed]:
    """Tell who is gone, count who is absent, and put the buckets off; these last, so that a crash repeats it all."""
    lease, gone = following.lease, roll.suspects()
    for at in range(0, len(gone), _ENDINGS_AT_ONCE):
        now = following.now
        with following.world.database.transaction() as session:
            sources.renew(session, lease, now)
            some = gone[at : at + _ENDINGS_AT_ONCE]
            stored = endings.withdraw(session, lease.source_id, lease.source, some, now)
            following.owe(session, stored, now)
        yield Followed(ended=len(stored.revisions))
    with following.world.database.transaction() as session:
        sources.renew(session, lease, following.now)
        buckets.absent(session, lease.source_id, roll.missing.difference(gone))
        buckets.present(session, lease.source_id, roll.back())
        following.put_off(session, together, look_again_at)
    yield Followed()


def _try_again_later(following: Following, together: Sequence[Bucket]) -> None:
    with following.world.database.transaction() as session:
        sources.renew(session, following.lease, following.now)
        following.put_off(session, together, try_again_at)
