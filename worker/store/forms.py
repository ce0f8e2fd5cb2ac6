"""Messages in other formats than the standard one: sealed once, as messages are, and sent as they were sealed.

A form follows from its message alone, so that whoever makes it first makes the same bytes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from sqlalchemy import and_
from sqlmodel import Session, col, select

from worker import cloudevents
from worker.delivery import Due
from worker.store.owed import Shares
from worker.store.session import upsert
from worker.store.tables import Form, Message, Source

STANDARD = "standard"
_MAKES: Mapping[str, Callable[[bytes, str, str | None, str | None], bytes]] = {
    cloudevents.FORMAT: cloudevents.event,
}
"""Format → from a sealed message, its id, its source's name and its notification's id, the form."""
_AT_ONCE = 500


def seal_missing(session: Session, message_ids: Iterable[str], format_: str) -> int:
    """Make this form of those messages that don't have it yet; how many. The standard one is the message itself.

    Called in the transaction that owes them; what is claimed without one gets it then.
    """
    if format_ == STANDARD:
        return 0
    return sum(_seal(session, ids, format_) for ids in _portions(sorted(set(message_ids))))


def seal_all(session: Session, message_ids: Collection[str], formats: Iterable[str]) -> None:
    """The same for each of these formats."""
    for format_ in sorted(set(formats)):
        seal_missing(session, message_ids, format_)


def seal_owed(session: Session, shares: Shares, formats: Mapping[int, str]) -> None:
    """The forms of messages that are owed now to endpoints (by id) of these formats."""
    for format_ in sorted(set(formats.values()) - {STANDARD}):
        theirs = {endpoint for endpoint, wanted in formats.items() if wanted == format_}
        owed = [ids for share, ids in shares.items() if not share.reason and theirs.intersection(share.endpoints)]
        seal_missing(session, chain.from_iterable(owed), format_)


def dressed(session: Session, due: Sequence[Due], formats: Mapping[str, str]) -> list[Due]:
    """What is due, with the bytes in its endpoint's format: by endpoint, those that have another than the standard."""
    wanted = {formats.get(one.endpoint, STANDARD) for one in due} - {STANDARD}
    if not wanted:
        return list(due)
    bodies: dict[tuple[str, str], bytes] = {}
    for format_ in sorted(wanted):
        ids = {one.message_id for one in due if formats.get(one.endpoint) == format_}
        seal_missing(session, ids, format_)
        bodies |= {(identity, format_): body for identity, body in _bodies(session, ids, format_)}
    return [
        replace(one, body=bodies.get((one.message_id, formats.get(one.endpoint, STANDARD)), one.body)) for one in due
    ]


def _seal(session: Session, ids: Sequence[str], format_: str) -> int:
    row, made = Message, and_(col(Form.message_id) == col(Message.id), col(Form.format) == format_)
    missing = session.execute(
        select(row.body, row.id, Source.name, row.notification_id)
        .join(Source, col(Source.id) == col(row.source_id), isouter=True)
        .join(Form, made, isouter=True)
        .where(col(row.id).in_(ids), col(Form.message_id).is_(None))
        .order_by(col(row.id))
    ).all()
    make = _MAKES[format_]
    forms = [
        {"message_id": identity, "format": format_, "body": make(body, identity, source, of and str(of))}
        for body, identity, source, of in missing
    ]
    if forms:
        session.execute(upsert(session, Form).on_conflict_do_nothing(), forms)
    return len(forms)


def _bodies(session: Session, ids: Collection[str], format_: str) -> Iterator[tuple[str, bytes]]:
    for portion in _portions(sorted(ids)):
        found = select(Form.message_id, Form.body).where(col(Form.message_id).in_(portion), col(Form.format) == format_)
        yield from session.exec(found).all()


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """A statement takes only so many parameters."""
    return (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))
