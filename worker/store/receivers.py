"""Endpoints as the outbox sees them: which of them are there, and that something is due to them.

Both are asked with each page, so without the ORM, whose way to a statement takes longer than the statement.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ARRAY, Column, ColumnElement, Select, Table, Text, any_, bindparam, func, select, update
from sqlmodel import Session

from worker.store.tables import EndpointRow

_ENDPOINT: Table = EndpointRow.__table__  # type: ignore[attr-defined]


class Receiver(NamedTuple):
    """An endpoint, as far as it matters for what is owed to it."""

    name: str
    id: int
    disabled_at: datetime | None


def named(session: Session, names: Collection[str]) -> Mapping[str, Receiver]:
    """Those of them that the store knows, by name."""
    connection = session.connection()
    on_sqlite = connection.dialect.name == "sqlite"
    found = connection.execute(_named(on_sqlite), {"those": _those(names, on_sqlite)})
    return {row.name: Receiver(*row) for row in found}


def lock(session: Session, endpoint_ids: Collection[int]) -> None:
    """Have these endpoints, in the order that all keep: notifications, endpoints by id, deliveries.

    By a statement of its own: one that waited for a lock, and goes on to change what it saw before, wants older
    versions of the rows too, which others may hold while they wait for us. SQLite has one lock for all.
    """
    connection = session.connection()
    if endpoint_ids and connection.dialect.name != "sqlite":
        connection.execute(_LOCKED, {"those": _those(endpoint_ids, on_sqlite=False)})


def wake(session: Session, endpoint_ids: Collection[int], now: datetime) -> None:
    """These endpoints have something due; the next claim looks at them. They are locked."""
    if endpoint_ids:
        lock(session, endpoint_ids)
        connection = session.connection()
        on_sqlite = connection.dialect.name == "sqlite"
        connection.execute(_wake(on_sqlite), {"those": _those(endpoint_ids, on_sqlite), "due": now})


@cache
def _named(on_sqlite: bool) -> Select[Any]:  # noqa: FBT001  # as which dialect it is
    columns = _ENDPOINT.c.name, _ENDPOINT.c.id, _ENDPOINT.c.disabled_at
    return select(*columns).where(_among(_ENDPOINT.c.name, on_sqlite))


@cache
def _wake(on_sqlite: bool) -> Any:  # noqa: FBT001  # as above
    return update(_ENDPOINT).values(due_at=bindparam("due")).where(_among(_ENDPOINT.c.id, on_sqlite))


def _among(which: Column[Any], on_sqlite: bool) -> ColumnElement[bool]:  # noqa: FBT001  # as above
    """One parameter, `those`, however many they are."""
    if on_sqlite:
        return which.in_(select(func.json_each(bindparam("those", type_=Text())).table_valued("value").c.value))
    return which == any_(bindparam("those", type_=ARRAY(which.type)))


def _those(values: Collection[Any], on_sqlite: bool) -> Any:  # noqa: FBT001  # as above
    return orjson.dumps(list(values)).decode() if on_sqlite else list(values)


_LOCKED = (
    select(_ENDPOINT.c.id)
    .where(_among(_ENDPOINT.c.id, on_sqlite=False))
    .order_by(_ENDPOINT.c.id)
    .with_for_update(key_share=True)
)
