"""What is to be told, made: messages, and who they are owed to, in one statement on PostgreSQL, two on SQLite."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlmodel import Session

from worker.delivery import DeliveryStatus
from worker.store import batches, receivers
from worker.store.tables import Message

Row = Mapping[str, Any]
"""A message, as its columns have it."""


class Share(NamedTuple):
    """The endpoints, by id, that the same messages are owed to; or, with a reason, are not."""

    endpoints: tuple[int, ...]
    reason: str | None

    @property
    def status(self) -> str:
        """What the deliveries begin as."""
        return (DeliveryStatus.SKIPPED if self.reason else DeliveryStatus.PENDING).value


Shares = Mapping[Share, Sequence[str]]
"""Whom the messages of these ids are owed to."""

_TOLD = """
    WITH told AS MATERIALIZED (
        SELECT * FROM ROWS FROM (jsonb_to_recordset(%(messages)s::jsonb) AS (
            id text, type text, source_id int, notification_id uuid, revision int, kind text, status text, body text,
            created_at timestamptz, shares int[]
        )) WITH ORDINALITY AS told(
            id, type, source_id, notification_id, revision, kind, status, body, created_at, shares, place)
    ),
    share AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(shares)s::jsonb) AS share(
            number int, endpoint int, status text, reason text, due timestamptz)
    ),
    kept AS (
        INSERT INTO message (id, type, source_id, notification_id, revision, kind, status, body, created_at)
        SELECT id, type, source_id, notification_id, revision, kind, status, convert_to(body, 'UTF8'), created_at
        FROM told ORDER BY place ON CONFLICT (id) DO NOTHING
    ),
    woken AS (
        UPDATE endpoint SET due_at = %(now)s::timestamptz WHERE id = ANY (%(due)s::int[])
    )
    INSERT INTO delivery (
        message_id, endpoint_id, notification_id, revision, status, reason, trigger, attempts, round, next_attempt_at,
        created_at)
    SELECT told.id, share.endpoint, told.notification_id, told.revision, share.status, share.reason, 'first', 0, 0,
           share.due, %(now)s::timestamptz
    FROM told JOIN share ON share.number = ANY (told.shares) ORDER BY told.place, share.endpoint
    ON CONFLICT (message_id, endpoint_id) DO NOTHING
"""

_DELIVERY = """
    INSERT INTO delivery (
        message_id, endpoint_id, notification_id, revision, status, reason, "trigger", attempts, round, next_attempt_at,
        created_at)
    VALUES (?, ?, ?, ?, ?, ?, 'first', 0, 0, ?, ?) ON CONFLICT (message_id, endpoint_id) DO NOTHING
"""


def tell(session: Session, messages: Sequence[Row], shares: Shares, now: datetime) -> None:
    """Keep these messages and make their deliveries, each once; the endpoints to which something is due wake.

    What waits equally long is claimed in the order in which the messages are given.
    """
    due = sorted({endpoint for share in shares if not share.reason for endpoint in share.endpoints})
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        receivers.lock(session, due)
        given = {"messages": _with_shares(messages, shares), "shares": _written(shares, now), "due": due, "now": now}
        connection.exec_driver_sql(_TOLD, given)
        return
    batches.put(session, Message, messages, _message_once)
    if made := list(_deliveries(messages, shares, batches.bare(now))):
        connection.exec_driver_sql(_DELIVERY, made)
    receivers.wake(session, due, now)


def _message_once(insert: Any) -> Any:
    return insert.on_conflict_do_nothing(index_elements=["id"])


def _with_shares(messages: Sequence[Row], shares: Shares) -> str:
    """Each with the numbers of its shares."""
    numbers: dict[str, list[int]] = {row["id"]: [] for row in messages}
    for number, ids in enumerate(shares.values()):
        for each in ids:
            numbers[each].append(number)
    return batches.as_json(Message, [{**row, "shares": numbers[row["id"]]} for row in messages])


def _written(shares: Shares, now: datetime) -> str:
    numbered = [
        {
            "number": number,
            "endpoint": endpoint,
            "status": share.status,
            "reason": share.reason,
            "due": None if share.reason else now,
        }
        for number, share in enumerate(shares)
        for endpoint in share.endpoints
    ]
    return orjson.dumps(numbered).decode()


def _deliveries(messages: Sequence[Row], shares: Shares, now: str) -> Iterator[tuple[Any, ...]]:
    whole = {row["id"]: (batches.bare(row["notification_id"]), row["revision"]) for row in messages}
    for share, ids in shares.items():
        status, due = share.status, None if share.reason else now
        for each in ids:
            of, revision = whole[each]
            for endpoint in share.endpoints:
                yield each, endpoint, of, revision, status, share.reason, due, now
