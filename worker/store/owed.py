"""Deliveries made: so many messages to so many endpoints in one statement, out of the messages that are stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import JSON, Column, Integer, Table, Text, bindparam, cast, column, func, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from worker.delivery import DeliveryStatus, Trigger
from worker.store.tables import Delivery, Message

_DELIVERY: Table = Delivery.__table__  # type: ignore[attr-defined]
_MESSAGE: Table = Message.__table__  # type: ignore[attr-defined]


class Share(NamedTuple):
    """The endpoints, by id, that the same messages are owed to; or, with a reason, are not."""

    endpoints: tuple[int, ...]
    reason: str | None


Shares = Mapping[Share, Sequence[str]]
"""Whom the messages of these ids are owed to."""


def make(session: Session, shares: Shares, now: datetime) -> set[int]:
    """The deliveries of these, each once; returns the endpoints that something is now due to."""
    connection = session.connection()
    statement = _out_of_messages(connection.dialect.name == "sqlite")
    for share, message_ids in shares.items():
        values = {
            "messages": orjson.dumps(message_ids).decode(),
            "endpoints": orjson.dumps(share.endpoints).decode(),
            "status": (DeliveryStatus.SKIPPED if share.reason else DeliveryStatus.PENDING).value,
            "reason": share.reason,
            "due": None if share.reason else now,
            "now": now,
        }
        connection.execute(statement, values)
    return {endpoint for share in shares if not share.reason for endpoint in share.endpoints}


@cache
def _out_of_messages(on_sqlite: bool) -> Any:  # noqa: FBT001  # as which dialect it is
    """In the order in which the messages are given: what waits equally long is claimed in that order."""
    delivery = _DELIVERY.c
    given, endpoint = _listed("messages", Text(), on_sqlite), _listed("endpoints", Integer(), on_sqlite)
    stored = _stored(given, on_sqlite)
    message = stored.c
    chosen = (
        select(
            message.id,
            cast(endpoint.c.value, Integer()),
            message.notification_id,
            message.revision,
            _bound("status", delivery.status),
            _bound("reason", delivery.reason),
            literal(Trigger.FIRST.value),
            literal(0),
            literal(0),
            _bound("due", delivery.next_attempt_at),
            _bound("now", delivery.created_at),
        )
        .select_from(given.join(stored, message.id == given.c.value).join(endpoint, true()))
        .order_by(given.c.key, endpoint.c.key)
    )
    names = (
        "message_id", "endpoint_id", "notification_id", "revision", "status", "reason", "trigger", "attempts", "round",
        "next_attempt_at", "created_at",
    )  # fmt: skip
    insert = (sqlite if on_sqlite else postgresql).insert(_DELIVERY).from_select(names, chosen)
    return insert.on_conflict_do_nothing(index_elements=["message_id", "endpoint_id"])


def _stored(given: Any, on_sqlite: bool) -> Any:  # noqa: FBT001  # as above
    """The messages, each by the index: by statistics that are stale, PostgreSQL might read them all."""
    if on_sqlite:
        return _MESSAGE
    return select(_MESSAGE).where(_MESSAGE.c.id == given.c.value).limit(1).correlate(given).lateral("stored")


def _listed(name: str, kind: Any, on_sqlite: bool) -> Any:  # noqa: FBT001  # as above
    """The values of a JSON array, one parameter, each with its place."""
    text = bindparam(name, type_=Text())
    if on_sqlite:
        return func.json_each(text).table_valued(column("value", kind), column("key", Integer()), name=name)
    values = func.json_array_elements_text(cast(text, JSON))
    return values.table_valued("value", with_ordinality="key", name=name).render_derived()


def _bound(name: str, like: Column[Any]) -> Any:
    return bindparam(name, type_=like.type)
