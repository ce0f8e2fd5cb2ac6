"""Cutting a source's time into buckets of about a page each (POLLING, section 4)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

from sqlalchemy import Select, func, select, update
from sqlmodel import Session, col

from worker.store.buckets import Condition, as_value, place
from worker.store.tables import BucketRow, NotificationRow
from worker.store.tables.columns import FOLLOWED
from worker.tracking import Bucket

_ROW, _BUCKET = NotificationRow, BucketRow
_COLUMNS = _ROW.__table__.c  # type: ignore[attr-defined]
_CUTS_AT_ONCE = 100
_TOO_MANY_PAGES = 2

Look = Callable[[Bucket], datetime]
"""When a bucket whose rows have just been read is to be read again."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a source's buckets are cut: a page's worth of rows each, from what occurred before `until`.

    The provider is asked for a bucket's stretch with a `grain` more at either end, and that is what a page must hold.
    """

    source_id: int
    until: datetime | None
    page_size: int
    grain: timedelta


def fill(session: Session, cut: Cut, now: datetime, look: Look) -> bool:
    """Put what is followed and lies in no bucket into one; true if there is more to do.

    The newest bucket grows until it is full. What has no time is followed from when it was first seen.
    """
    more_dated = cut.until is not None and _Dated(session, cut, look).fill(cut.until)
    more_undated = _Undated(session, cut, look).fill(now)
    return more_dated or more_undated


def cut_again(session: Session, cut: Cut, bucket: Bucket) -> bool:
    """Shorten a bucket into which far more rows came late than a page holds; the rest of them lie in none then."""
    stretch = _Dated if bucket.dated else _Undated
    return stretch(session, cut, _no_look).shorten(bucket)


def _no_look(bucket: Bucket) -> datetime:
    return bucket.end_at


class _Dated:
    """Stretches of the provider's time. All rows count, closed ones too: a page holds them all."""

    dated = True
    at: ClassVar[Any] = _COLUMNS.occurred_at
    rows: tuple[Condition, ...] = ()
    loose: tuple[Condition, ...] = (col(_ROW.bucket_id).is_(None), FOLLOWED)

    def __init__(self, session: Session, cut: Cut, look: Look) -> None:
        self._session, self._cut, self._look = session, cut, look
        self._grain = cut.grain if self.dated else timedelta()
        self._mine = col(_ROW.source_id) == cut.source_id

    def fill(self, until: datetime) -> bool:
        """As many buckets as one transaction should see to; true if there are more."""
        cuts = 0
        for first in islice(self._first_loose(until), _CUTS_AT_ONCE):
            bucket = self._around(first, until)
            place(
                self._session, bucket.id, self._mine, *self.loose, self.at >= bucket.start_at, self.at < bucket.end_at
            )
            cuts += 1
        return cuts == _CUTS_AT_ONCE

    def shorten(self, bucket: Bucket) -> bool:
        """End the bucket where a page is full, if it holds more than two."""
        if self._nth(bucket.start_at, _TOO_MANY_PAGES * self._cut.page_size, bucket.end_at) is None:
            return False
        edge = self._edge(bucket.start_at)
        if edge is None or edge >= bucket.end_at:
            return False
        self._session.execute(update(_BUCKET).where(col(_BUCKET.id) == bucket.id).values(end_at=edge))
        place(self._session, None, col(_ROW.bucket_id) == bucket.id, self.at >= edge)
        return True

    def _first_loose(self, until: datetime) -> Iterator[datetime]:
        """The oldest moment of what lies in no bucket, again and again, as long as there is one."""
        oldest = select(func.min(self.at)).where(self._mine, *self.loose, self.at < until)
        while first := self._session.scalar(oldest):
            yield first

    def _around(self, first: datetime, until: datetime) -> BucketRow:
        """The bucket around a moment: one that is there, the one before it if it may grow so far, or a new one."""
        ends = col(_BUCKET.end_at)
        after = self._session.scalars(self._buckets().where(ends > first).order_by(ends).limit(1)).first()
        if after and after.start_at <= first:
            return after
        bounds = [until, after.start_at] if after else [until]
        before = self._session.scalars(self._buckets().where(ends <= first).order_by(ends.desc()).limit(1)).first()
        if before and (edge := self._ended(before.start_at, bounds)) > first:
            before.end_at = edge
            before.look_again_at = min(before.look_again_at, self._look(as_value(before)))
            self._session.flush()
            return before
        return self._new(first, self._ended(first, bounds))

    def _buckets(self) -> Select[BucketRow]:
        return select(_BUCKET).where(col(_BUCKET.source_id) == self._cut.source_id, col(_BUCKET.dated).is_(self.dated))

    def _new(self, start: datetime, end: datetime) -> BucketRow:
        row = BucketRow(source_id=self._cut.source_id, dated=self.dated, start_at=start, end_at=end, look_again_at=end)
        self._session.add(row)
        self._session.flush()
        row.look_again_at = self._look(as_value(row))
        self._session.flush()
        return row

    def _ended(self, start: datetime, bounds: list[datetime]) -> datetime:
        edge = self._edge(start)
        return min(bounds if edge is None else [*bounds, edge])

    def _edge(self, start: datetime) -> datetime | None:
        """Where a page that begins there is full; rows of one moment are never parted. None: nowhere."""
        one_more = self._nth(start - self._grain, self._cut.page_size)
        if one_more is None:
            return None
        edge = one_more - 2 * self._grain
        if edge > start:
            return edge
        later: datetime | None = self._session.scalar(
            select(func.min(self.at)).where(self._mine, *self.rows, self.at > start)
        )
        return later

    def _nth(self, start: datetime, number: int, end: datetime | None = None) -> datetime | None:
        """The moment of the row, counted from 0, of those that occurred from there on."""
        stretch = [self.at >= start, *([self.at < end] if end else [])]
        found = select(self.at).where(self._mine, *self.rows, *stretch).order_by(self.at).offset(number).limit(1)
        moment: datetime | None = self._session.scalar(found)
        return moment


class _Undated(_Dated):
    """Stretches of the time since which rows without one are followed. By id, only these cost."""

    dated = False
    at: ClassVar[Any] = _COLUMNS.tracked_since
    rows = (col(_ROW.occurred_at).is_(None), FOLLOWED)
    loose = (*_Dated.loose, col(_ROW.occurred_at).is_(None))
