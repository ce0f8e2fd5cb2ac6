"""Owing messages again, in the order in which they were made: which come next, and their deliveries made pending."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from worker.delivery import DeliveryStatus, Trigger
from worker.interest import Topic
from worker.store import forms
from worker.store.receivers import wake
from worker.store.session import upsert
from worker.store.tables import Delivery, Message, Source

MISSING = "missing"
"""What became of a message at an endpoint that it was never owed to."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through the messages made in a span of time; up to (`done_at`, `done_id`) it is done."""

    since: datetime
    until: datetime
    done_at: datetime | None
    done_id: str | None


@dataclass(frozen=True, slots=True)
class Walked:
    """One message, as far as owing it goes."""

    id: str
    topic: Topic
    notification_id: Any
    revision: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Portion:
    """The next messages of a walk, how far it is with them, and whether they are the last."""

    messages: Sequence[Walked]
    done_at: datetime | None
    done_id: str | None
    last: bool


@dataclass(frozen=True, slots=True)
class Again:
    """How they are owed: those alone of which `standing` became, None: all; their endpoint's format; when."""

    standing: str | None
    format: str
    now: datetime


def portion(session: Session, walk: Walk, most: int) -> Portion:
    """The next messages, `most` of them, and whatever earlier revisions of theirs would come after them.

    Several are made at one instant, or by clocks that differ; an earlier revision never goes out after a later one.
    """
    row = Message
    next_ones = _messages().where(*_span(walk)).order_by(col(row.created_at), col(row.id)).limit(most)
    found = _walked(session, next_ones)
    if not found:
        return Portion((), walk.done_at, walk.done_id, last=True)
    end = found[-1]
    together = [*found, *_behind(session, Walk(walk.since, walk.until, end.made_at, end.id), found)]
    ahead = _ahead(session, walk, [each.id for each in together]) if walk.done_at else set()
    messages = sorted((each for each in together if each.id not in ahead), key=_by_revision)
    return Portion(messages, end.made_at, end.id, last=len(found) < most)


def owe_again(session: Session, endpoint_id: int, messages: Sequence[Walked], how: Again) -> int:
    """Owe them to the endpoint now, with a whole schedule before them; the number owed. An open request stays alone.

    The endpoint is locked first, as in a claim; then deliveries, and messages last, as in pruning.
    """
    if not messages:
        return 0
    wake(session, {endpoint_id}, how.now)
    known = _known(session, endpoint_id, [each.id for each in messages])
    chosen = [
        each for each in messages if how.standing in {None, known[each.id].status if each.id in known else MISSING}
    ]
    again = [row.id for each in chosen if (row := known.get(each.id)) and not row.is_open(how.now)]
    new = [each for each in chosen if each.id not in known]
    kept = _kept(session, [each.id for each in new])
    rows = [_delivery(each, endpoint_id, how.now) for each in new if each.id in kept]
    if again:
        session.execute(update(Delivery).where(col(Delivery.id).in_(again)).values(**_owed(how.now)))
    if rows:
        insert = upsert(session, Delivery).on_conflict_do_nothing(index_elements=["message_id", "endpoint_id"])
        session.execute(insert, rows)
    forms.seal_missing(session, [each.id for each in chosen], how.format)
    return len(again) + len(rows)


def _messages() -> Select[Any]:
    row = Message
    columns = (row.id, row.type, Source.name, row.kind, row.status, row.notification_id, row.revision, row.created_at)
    return select(*columns).join(Source, col(Source.id) == col(row.source_id), isouter=True)  # type: ignore[call-overload,no-any-return]


def _walked(session: Session, query: Select[Any]) -> list[Walked]:
    return [
        Walked(identity, Topic(kind, source, of, status), notification, revision, made_at)
        for identity, kind, source, of, status, notification, revision, made_at in session.execute(query).all()
    ]


def _by_revision(each: Walked) -> tuple[datetime, int, str]:
    return each.made_at, each.revision, each.id


def _span(walk: Walk) -> list[ColumnElement[bool]]:
    """What is left of the walk; written so that the index on `created_at` serves it."""
    at, identity = col(Message.created_at), col(Message.id)
    if walk.done_at is None:
        return [at >= walk.since, at < walk.until]
    return [at >= walk.done_at, at < walk.until, or_(at > walk.done_at, identity > walk.done_id)]


def _behind(session: Session, rest: Walk, found: Sequence[Walked]) -> list[Walked]:
    """Earlier revisions, in the rest of the walk, of what was found."""
    later, ids = aliased(Message), [each.id for each in found if each.notification_id and each.revision > 1]
    if not ids:
        return []
    same = and_(col(later.notification_id) == Message.notification_id, col(later.revision) > Message.revision)
    return _walked(session, _messages().join(later, same).where(*_span(rest), col(later.id).in_(ids)).distinct())


def _ahead(session: Session, walk: Walk, ids: Sequence[str]) -> set[str]:
    """Those that came with a later revision already."""
    row, later = Message, aliased(Message)
    same = and_(col(later.notification_id) == row.notification_id, col(later.revision) > row.revision)
    before = or_(
        col(later.created_at) < walk.done_at,
        and_(col(later.created_at) == walk.done_at, col(later.id) <= walk.done_id),
    )
    came = select(row.id).join(later, same).where(col(row.id).in_(ids), col(later.created_at) >= walk.since, before)  # type: ignore[call-overload]
    return set(session.execute(came).scalars())


@dataclass(frozen=True, slots=True)
class _Owed:
    """A delivery that is there already."""

    id: int
    status: str
    claimed_until: datetime | None

    def is_open(self, now: datetime) -> bool:
        """Whether its request may be under way."""
        return self.status == DeliveryStatus.PENDING and self.claimed_until is not None and self.claimed_until > now


def _known(session: Session, endpoint_id: int, ids: Sequence[str]) -> dict[str, _Owed]:
    """The deliveries of these messages to the endpoint, by message, locked."""
    row = Delivery
    columns = (col(row.message_id), col(row.id), col(row.status), col(row.claimed_until))
    rows = select(*columns).where(col(row.endpoint_id) == endpoint_id, col(row.message_id).in_(ids))
    found = session.execute(rows.order_by(col(row.id)).with_for_update()).all()
    return {message_id: _Owed(identity or 0, status, until) for message_id, identity, status, until in found}


def _kept(session: Session, ids: Sequence[str]) -> set[str]:
    """Those of the messages that pruning has not taken meanwhile, and cannot any more."""
    if not ids:
        return set()
    rows = select(col(Message.id)).where(col(Message.id).in_(ids)).order_by(col(Message.id))
    return set(session.scalars(rows.with_for_update(read=True, key_share=True)).all())


def _owed(now: datetime) -> dict[str, Any]:
    return {
        "status": DeliveryStatus.PENDING.value,
        "reason": None,
        "trigger": Trigger.REPLAY.value,
        "round": 0,
        "next_attempt_at": now,
        "claim_token": None,
        "claimed_until": None,
    }


def _delivery(each: Walked, endpoint_id: int, now: datetime) -> dict[str, Any]:
    return _owed(now) | {
        "message_id": each.id,
        "endpoint_id": endpoint_id,
        "notification_id": each.notification_id,
        "revision": each.revision,
        "created_at": now,
    }
