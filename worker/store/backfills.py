"""Backfills: windows as rows, each claimed by whoever reads it, and finished in the commit of its last page.

Nobody holds the source's lease meanwhile: polls go on. So each page locks the source's row first, as a poll's does by
renewing its lease, and no two processes store one source's notifications at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, or_, update
from sqlmodel import Session, col, select

from worker.errors import LeaseLost
from worker.past import Extent, Past, Presence, Span, Tally, adjoining, share
from worker.store.tables import BackfillRow, BackfillWindow, Source

LEASE_FOR = timedelta(seconds=60)

_ROW, _WINDOW = BackfillRow, BackfillWindow
_COUNTS = tuple(asdict(Tally()))


@dataclass(frozen=True, slots=True)
class Begun:
    """A backfill, and what is known of its source. `resumed`: some of it was done before."""

    id: int
    source_id: int
    source: str
    since: datetime
    until: datetime
    resumed: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to read one window until the claim ends; every page renews it."""

    window_id: int
    backfill_id: int
    token: str
    span: Span
    joined: int


def begin(
    session: Session, source: str, past: Past, cut: Callable[[datetime, datetime], list[Span]], now: datetime
) -> Begun:
    """The unfinished backfill of just this past, or a new one, cut into windows; without `until`: up to now.

    A new one takes the place of those of the source that are finished.
    """
    of = session.exec(select(Source).where(col(Source.name) == source).with_for_update(key_share=True)).one()
    source_id = of.id or 0
    found = session.exec(
        select(_ROW)
        .where(col(_ROW.source_id) == source_id, col(_ROW.done_at).is_(None), col(_ROW.since_at) == past.since)
        .where(col(_ROW.deliver) == past.deliver, _same_end(past.until))
        .order_by(col(_ROW.id))
    ).first()
    row = found or _new(session, of, past, now)
    if found is None:
        _add(session, row.id or 0, cut(row.since_at, row.until_at))
    return Begun(row.id or 0, source_id, source, row.since_at, row.until_at, resumed=found is not None)


def claim(session: Session, begun: Begun, token: str, most: int, now: datetime) -> Claim | None:
    """The next window that nobody reads, with those after it, `most` in all, joined to it. None: there is none."""
    session.exec(select(_ROW).where(col(_ROW.id) == begun.id).with_for_update(key_share=True)).one()
    free = or_(
        col(_WINDOW.claimed_until).is_(None), col(_WINDOW.claimed_until) <= now, col(_WINDOW.claim_token) == token
    )
    found = select(_WINDOW).where(_left(begun.id), free).order_by(col(_WINDOW.start_at), col(_WINDOW.id)).limit(most)
    rows = session.exec(found).all()
    if not rows:
        return None
    first, *others = rows[: adjoining([_span(row) for row in rows])]
    if others:
        first.end_at = others[-1].end_at
        session.execute(delete(_WINDOW).where(col(_WINDOW.id).in_([row.id for row in others])))
    first.claim_token, first.claimed_until = token, now + LEASE_FOR
    session.flush()
    return Claim(first.id or 0, begun.id, token, _span(first), 1 + len(others))


def presence(session: Session, source_id: int, overlap: timedelta, track_for: timedelta, now: datetime) -> Presence:
    """Where the source's polls are now; until the end of the transaction nobody else writes its notifications."""
    row = session.exec(select(Source).where(col(Source.id) == source_id).with_for_update(key_share=True)).one()
    marks = [mark for mark in (row.start_at, row.high_water and row.high_water - overlap) if mark]
    provider_now = now + timedelta(seconds=row.clock_offset_s)
    return Presence(max(marks, default=None), provider_now, provider_now - track_for)


def renew(session: Session, claim: Claim, now: datetime) -> None:
    """Hold the claim for longer. Raises LeaseLost when another process has the window now: then write nothing."""
    _under_claim(session, claim, claimed_until=now + LEASE_FOR)


def keep(session: Session, token: str, now: datetime) -> None:
    """Hold whatever is claimed with this token for longer, as while waiting."""
    mine = update(_WINDOW).where(col(_WINDOW.claim_token) == token)
    session.execute(mine.values(claimed_until=now + LEASE_FOR))


def tokens(session: Session, backfill_id: int) -> list[str]:
    """Whose claims there are, lapsed ones too."""
    found = session.exec(select(_WINDOW.claim_token).where(_left(backfill_id)).distinct()).all()
    return [token for token in found if token]


def release(session: Session, token: str) -> None:
    """Give back, unfinished, what is claimed with this token."""
    session.execute(
        update(_WINDOW).where(col(_WINDOW.claim_token) == token).values(claim_token=None, claimed_until=None)
    )


def count(session: Session, backfill_id: int, page: Tally) -> Tally:
    """Add a page's counts; the sums so far."""
    added = {name: getattr(_ROW, name) + number for name, number in asdict(page).items()}
    row = update(_ROW).where(col(_ROW.id) == backfill_id).values(**added)
    sums = session.execute(row.returning(*(getattr(_ROW, name) for name in _COUNTS))).one()
    return Tally(**dict(zip(_COUNTS, sums, strict=True)))


def finish(session: Session, claim: Claim, now: datetime) -> None:
    """All of the window has been read; with the last one the backfill is done. Raises LeaseLost."""
    _under_claim(session, claim, claim_token=None, claimed_until=None, done_at=now)
    if session.exec(select(_WINDOW.id).where(_left(claim.backfill_id)).limit(1)).first() is None:
        session.execute(update(_ROW).where(col(_ROW.id) == claim.backfill_id).values(done_at=now))


def part(session: Session, claim: Claim, spans: Sequence[Span]) -> None:
    """These take the window's place. Raises LeaseLost."""
    _under_claim(session, claim, claim_token=None, claimed_until=None, end_at=spans[0].end_at)
    _add(session, claim.backfill_id, spans[1:])


def tally(session: Session, backfill_id: int) -> Tally:
    """What it came to so far; nothing where it was finished, and has been forgotten since."""
    row = session.exec(select(_ROW).where(col(_ROW.id) == backfill_id)).first()
    return Tally(**{name: getattr(row, name) for name in _COUNTS}) if row else Tally()


def extent(session: Session, backfill_id: int) -> Extent:
    """How far it is."""
    of = select(_WINDOW.start_at, _WINDOW.end_at, _WINDOW.done_at, _WINDOW.claimed_until)
    rows = session.exec(of.where(col(_WINDOW.backfill_id) == backfill_id)).all()
    left = [claimed_until for _, _, done_at, claimed_until in rows if done_at is None]
    measured = Extent(
        windows=len(rows),
        windows_done=len(rows) - len(left),
        share=share((Span(start_at, end_at), done_at is not None) for start_at, end_at, done_at, _ in rows),
        done=not left,
    )
    claims = [claimed_until for claimed_until in left if claimed_until]
    return replace(measured, free_at=min(claims)) if claims and len(claims) == len(left) else measured


def _new(session: Session, source: Source, past: Past, now: datetime) -> BackfillRow:
    over = select(_ROW.id).where(col(_ROW.source_id) == source.id, col(_ROW.done_at).is_not(None))
    session.execute(delete(_WINDOW).where(col(_WINDOW.backfill_id).in_(over)))
    session.execute(delete(_ROW).where(col(_ROW.id).in_(over)))
    provider_now = now + timedelta(seconds=source.clock_offset_s)
    row = BackfillRow(
        source_id=source.id or 0, since_at=past.since, until_at=max(past.since, past.until or provider_now),
        asked_until_at=past.until, deliver=past.deliver, begun_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def _add(session: Session, backfill_id: int, spans: Sequence[Span]) -> None:
    """Windows, thousands at once."""
    rows = [{"backfill_id": backfill_id, **asdict(span)} for span in spans]
    if rows:
        session.execute(insert(_WINDOW), rows)


def _same_end(until: datetime | None) -> ColumnElement[bool]:
    asked = col(_ROW.asked_until_at)
    return asked.is_(None) if until is None else asked == until


def _left(backfill_id: int) -> ColumnElement[bool]:
    return (col(_WINDOW.backfill_id) == backfill_id) & col(_WINDOW.done_at).is_(None)


def _span(row: BackfillWindow) -> Span:
    return Span(row.start_at, row.end_at)


def _under_claim(session: Session, claim: Claim, **values: object) -> None:
    """One conditional UPDATE: whoever lost its claim writes nothing."""
    held = update(_WINDOW).where(col(_WINDOW.id) == claim.window_id, col(_WINDOW.claim_token) == claim.token)
    if session.execute(held.values(**values).returning(col(_WINDOW.id))).first() is None:
        raise LeaseLost("a window of the backfill")
