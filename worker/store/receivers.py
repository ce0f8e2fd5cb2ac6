"""Endpoints as the outbox sees them: which of them are there, and that something is due to them.

Both are asked with each page, so without the ORM, whose way to a statement takes longer than the statement.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, bindparam, select, update
from sqlmodel import Session

from worker.store.tables import EndpointRow

_ENDPOINT: Table = EndpointRow.__table__  # type: ignore[attr-defined]


class Receiver(NamedTuple):
    """An endpoint, as far as it matters for what is owed to it."""

    name: str
    id: int
    disabled_at: datetime | None


def named(session: Session, names: Iterable[str]) -> Mapping[str, Receiver]:
    """Those of them that the store knows, by name."""
    found = session.connection().execute(_named(), {"names": list(names)})
    return {row.name: Receiver(*row) for row in found}


def wake(session: Session, endpoint_ids: Collection[int], now: datetime) -> None:
    """These endpoints have something due; the next claim looks at them.

    It locks them, in the order that all keep: notifications, endpoints by id, deliveries.
    """
    if endpoint_ids:
        connection = session.connection()
        statement = _wake(connection.dialect.name == "sqlite")
        connection.execute(statement, {"ids": sorted(endpoint_ids), "due": now})


@cache
def _named() -> Select[Any]:
    columns = _ENDPOINT.c.name, _ENDPOINT.c.id, _ENDPOINT.c.disabled_at
    return select(*columns).where(_ENDPOINT.c.name.in_(bindparam("names", expanding=True)))


@cache
def _wake(on_sqlite: bool) -> Any:  # noqa: FBT001  # as which dialect it is
    ours = _ENDPOINT.c.id.in_(bindparam("ids", expanding=True))
    changed = update(_ENDPOINT).values(due_at=bindparam("due"))
    if on_sqlite:
        return changed.where(ours)
    in_order = select(_ENDPOINT.c.id).where(ours).order_by(_ENDPOINT.c.id).with_for_update(key_share=True).cte("locked")
    return changed.where(_ENDPOINT.c.id == in_order.c.id)
