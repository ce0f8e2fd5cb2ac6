"""Buckets: stretches of a source's time with notifications that are followed (POLLING, section 4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, TextClause, bindparam, delete, exists, literal, or_, select, update
from sqlmodel import Session, col

from worker.store.tables import BucketRow, NotificationRow
from worker.store.tables.columns import FOLLOWED
from worker.tracking import Bucket, Member

_ROW, _BUCKET = NotificationRow, BucketRow
_AT_ONCE = 1000
T = TypeVar("T")
Condition = ColumnElement[bool] | TextClause

_OPEN = (col(_ROW.source_id) == bindparam("source"), FOLLOWED)
_DUE = (col(_BUCKET.source_id) == bindparam("source"), col(_BUCKET.look_again_at) <= bindparam("now"))
_LOOSE = (*_OPEN, col(_ROW.bucket_id).is_(None))
ANYTHING_DUE = select(literal(1)).where(
    or_(
        exists().where(*_LOOSE, col(_ROW.occurred_at) < bindparam("until")),
        exists().where(*_LOOSE, col(_ROW.occurred_at).is_(None)),
        exists().where(*_DUE),
    )
)
"""Whether the `source` has a bucket to be read again `now`, or what needs one: it occurred before `until`, or never."""

ANYTHING_OVERDUE = select(literal(1)).where(
    or_(
        exists().where(*_OPEN, col(_ROW.expires_at) <= bindparam("provider_now")),
        exists().where(*_OPEN, col(_ROW.tracked_since) <= bindparam("tracked_since")),
    )
)
"""Whether `overdue` finds anything."""


def due(session: Session, source_id: int, now: datetime, most: int) -> list[Bucket]:
    """The buckets that are to be read again, the longest-waiting first."""
    found = select(_BUCKET).where(col(_BUCKET.source_id) == source_id, col(_BUCKET.look_again_at) <= now)
    return [as_value(row) for row in session.scalars(found.order_by(col(_BUCKET.look_again_at)).limit(most))]


def as_value(row: BucketRow) -> Bucket:
    """The row as the rest of the house knows it."""
    return Bucket(row.id or 0, row.start_at, row.end_at, dated=row.dated)


def members(session: Session, together: Iterable[Bucket]) -> list[Member]:
    """The buckets' notifications that are still followed."""
    found: list[Member] = []
    for ids in _chunks([bucket.id for bucket in together]):
        inside = select(col(_ROW.external_id), col(_ROW.absences)).where(col(_ROW.bucket_id).in_(ids), FOLLOWED)
        found += [Member(external_id, absences) for external_id, absences in session.execute(inside).all()]
    return found


def reaches(session: Session, source_id: int, since: datetime | None, rows: int) -> bool:
    """Whether the source has at least so many notifications, of that time or later."""
    if rows < 1:
        return True
    mine = [col(_ROW.source_id) == source_id, *([col(_ROW.occurred_at) >= since] if since else [])]
    return session.scalar(select(col(_ROW.source_id)).where(*mine).offset(rows - 1).limit(1)) is not None


def put_off(session: Session, source_id: int, until: Mapping[int, datetime]) -> None:
    """These buckets are due again then; one in which nothing is followed any more goes."""
    kept: set[int | None] = set()
    for ids in _chunks(list(until)):
        kept |= set(session.scalars(select(col(_ROW.bucket_id)).where(col(_ROW.bucket_id).in_(ids), FOLLOWED)))
    for bucket_id in until.keys() & kept:
        session.execute(update(_BUCKET).where(col(_BUCKET.id) == bucket_id).values(look_again_at=until[bucket_id]))
    for ids in _chunks(sorted(until.keys() - kept)):
        place(session, None, col(_ROW.bucket_id).in_(ids))
        session.execute(delete(_BUCKET).where(col(_BUCKET.source_id) == source_id, col(_BUCKET.id).in_(ids)))


def place(session: Session, bucket_id: int | None, *conditions: Condition) -> None:
    """These rows lie in that bucket now, or in none. They are locked in the order that all keep, by id."""
    locked = select(col(_ROW.id)).where(*conditions).order_by(col(_ROW.id)).with_for_update(key_share=True)
    session.execute(locked).all()
    session.execute(update(_ROW).where(*conditions).values(bucket_id=bucket_id))


def absent(session: Session, source_id: int, external_ids: Iterable[str]) -> None:
    """These were not in a complete reading of where they should be."""
    _count_absences(session, source_id, external_ids, col(_ROW.absences) + 1)


def present(session: Session, source_id: int, external_ids: Iterable[str]) -> None:
    """These were absent before, and are there after all."""
    _count_absences(session, source_id, external_ids, 0)


def overdue(session: Session, source_id: int, provider_now: datetime, tracked_since: datetime, most: int) -> list[str]:
    """The external ids of what is followed and past its own date, or has been followed since `tracked_since`."""
    found: dict[str, None] = {}
    for over in (col(_ROW.expires_at) <= provider_now, col(_ROW.tracked_since) <= tracked_since):
        mine = select(col(_ROW.external_id)).where(col(_ROW.source_id) == source_id, FOLLOWED, over)
        found |= dict.fromkeys(session.scalars(mine.limit(most)))
    return list(found)[:most]


def _count_absences(session: Session, source_id: int, external_ids: Iterable[str], value: object) -> None:
    for chunk in _chunks(sorted(external_ids)):
        mine = (col(_ROW.source_id) == source_id, col(_ROW.external_id).in_(chunk))
        locked = select(col(_ROW.id)).where(*mine).order_by(col(_ROW.id)).with_for_update(key_share=True)
        session.execute(locked).all()
        session.execute(update(_ROW).where(*mine).values(absences=value))


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at once as any database takes."""
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
