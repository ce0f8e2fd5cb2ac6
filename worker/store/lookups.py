"""Looking many values up at once, at the same price for each however large the table and stale its statistics are."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
)
from sqlmodel import Session

from worker.notification import Status
from worker.revision import Known
from worker.store.session import storable
from worker.store.tables import NotificationRow

_ROW: Table = NotificationRow.__table__  # type: ignore[attr-defined]
_SAID = ("content_hash", "revision", "message_id", "status", "updated_at", "first_seen_at")


class Found(NamedTuple):
    """What the store has of a notification, and since when."""

    known: Known
    first_seen_at: datetime


def differing(session: Session, source_id: int, hashes: Mapping[str, str]) -> dict[str, Found | None]:
    """Those that are not stored with this hash, by external id: what is stored; None: nothing is.

    Of what the database can't hold nothing is. What is as it was does not come back, however much that is.
    """
    if not hashes:
        return {}
    connection = session.connection()
    on_sqlite = connection.dialect.name == "sqlite"
    given, odd = _json(hashes)
    found = connection.execute(_differing(on_sqlite), {"given": given, "source_id": source_id}).all()
    differ = {row[0]: None if row[1] is None else _found(row) for row in found}
    if odd:
        known = _named(session, source_id, odd) if on_sqlite else {}
        differ |= {
            name: before for name in odd if not (before := known.get(name)) or before.known.content_hash != hashes[name]
        }
    return differ


def _found(row: Sequence[Any]) -> Found:
    _, digest, number, message, status, updated_at, first_seen_at = row
    return Found(Known(digest, number, message, Status(status), updated_at), first_seen_at)


@cache
def _differing(on_sqlite: bool) -> Select[Any]:  # noqa: FBT001  # as which dialect it is
    """One after another by the index, all of them in one parameter.

    `IN` reads all of the source while statistics are those of an empty table, so that a first reading takes a time that
    grows with the square of its rows.
    """
    text = bindparam("given", type_=Text())
    each = func.json_each(text) if on_sqlite else func.json_each_text(cast(text, JSON))
    given = each.table_valued(column("key", Text()), column("value", Text()), name="given")
    stored = and_(_ROW.c.source_id == bindparam("source_id"), _ROW.c.external_id == given.c.key)
    if on_sqlite:
        query = select(given.c.key, *_said(_ROW)).select_from(given.join(_ROW, stored, isouter=True))
        return query.where(_ROW.c.content_hash.is_distinct_from(given.c.value))
    one = select(*_said(_ROW)).where(stored).limit(1).correlate(given).lateral("known")
    query = select(given.c.key, *_said(one)).select_from(given.join(one, true(), isouter=True))
    return query.where(one.c.content_hash.is_distinct_from(given.c.value))


def _said(rows: FromClause) -> list[ColumnElement[Any]]:
    return [rows.c[name] for name in _SAID]


def _named(session: Session, source_id: int, names: Sequence[str]) -> dict[str, Found]:
    """What is known of these, where their NUL can be held; half a surrogate pair no database holds."""
    sound = [name for name in names if name.encode(errors="ignore").decode() == name]
    row = _ROW.c
    found = session.connection().execute(
        select(row.external_id, *_said(_ROW)).where(row.source_id == source_id, row.external_id.in_(sound))
    )
    return {each[0]: _found(each) for each in found}


def _json(hashes: Mapping[str, str]) -> tuple[str, Sequence[str]]:
    """As a JSON object; and the names apart that no database can read there: with a NUL, or half a surrogate pair."""
    with suppress(TypeError):
        written = orjson.dumps(hashes)
        if rb"\u0000" not in written:
            return written.decode(), ()
    odd = [name for name in hashes if storable(name) != name]
    return orjson.dumps({name: digest for name, digest in hashes.items() if name not in odd}).decode(), odd
