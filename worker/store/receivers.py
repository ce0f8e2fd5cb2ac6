"""Endpoints as the outbox sees them: which of them are there, and that something is due to them.

Both are asked with each page, so without the ORM, whose way to a statement takes longer than the statement.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, bindparam, select, update
from sqlmodel import Session

from worker.store import ready
from worker.store.tables import EndpointRow

_ENDPOINT: Table = EndpointRow.__table__  # type: ignore[attr-defined]


class Receiver(NamedTuple):
    """An endpoint, as far as it matters for what is owed to it."""

    name: str
    id: int
    disabled_at: datetime | None


def named(session: Session, names: Collection[str]) -> Mapping[str, Receiver]:
    """Those of them that the store knows, by name."""
    found: Iterable[Any] = ready.execute(session, _named, names=list(names))
    return {row.name: Receiver(*row) for row in found}


def lock(session: Session, endpoint_ids: Collection[int]) -> None:
    """Have these endpoints, in the order that all keep: notifications, endpoints by id, deliveries.

    By a statement of its own: one that waited for a lock, and goes on to change what it saw before, wants older
    versions of the rows too, which others may hold while they wait for us. SQLite has one lock for all.
    """
    if endpoint_ids and session.connection().dialect.name == ready.POSTGRESQL:
        ready.execute(session, _locked, ids=list(endpoint_ids))


def wake(session: Session, endpoint_ids: Collection[int], now: datetime) -> None:
    """These endpoints have something due; the next claim looks at them. They are locked."""
    if endpoint_ids:
        lock(session, endpoint_ids)
        ready.execute(session, _wake, ids=list(endpoint_ids), due=now)


@cache
def _named(dialect: str) -> Select[Any]:
    columns = _ENDPOINT.c.name, _ENDPOINT.c.id, _ENDPOINT.c.disabled_at
    return select(*columns).where(ready.one_of(dialect, _ENDPOINT.c.name, "names"))


@cache
def _locked(dialect: str) -> Select[Any]:
    those = select(_ENDPOINT.c.id).where(ready.one_of(dialect, _ENDPOINT.c.id, "ids"))
    return those.order_by(_ENDPOINT.c.id).with_for_update(key_share=True)


@cache
def _wake(dialect: str) -> Any:
    return update(_ENDPOINT).values(due_at=bindparam("due")).where(ready.one_of(dialect, _ENDPOINT.c.id, "ids"))
