"""Databases full of pending deliveries: filled once, copied for each round."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
from sqlalchemy import Engine, insert, text, update

from benchmarks.stage import Durable
from worker.store import endpoints, schema
from worker.store.session import Database
from worker.store.tables import Delivery, EndpointRow, Message, NotificationRow, Source

ENDPOINTS = 10
BODY = 1024
SECRET = "whsec_" + "c2VjcmV0" * 4
_MADE_AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
_AT_ONCE = 20_000


@dataclass(frozen=True)
class Template:
    """A database to be copied; `server` None: a file of SQLite."""

    name: str
    folder: Path
    server: Durable | None = None

    @contextmanager
    def copied(self) -> Iterator[str]:
        """The URL of a copy, for as long as it is needed."""
        if self.server:
            url = self.server.create(template=self.name)
            try:
                yield url
            finally:
                self.server.drop(url)
        else:
            shutil.copy(self.folder / self.name, self.folder / "copy.db")
            try:
                yield f"sqlite:///{self.folder}/copy.db"
            finally:
                for left in self.folder.glob("copy.db*"):
                    left.unlink()

    def server_s(self) -> float:
        """Processor seconds of the server so far."""
        return self.server.processor_s() if self.server else 0.0


def names(count: int = ENDPOINTS) -> tuple[str, ...]:
    """The endpoints'."""
    return tuple(f"e{number}" for number in range(count))


def template(deliveries: int, folder: Path, server: Durable | None = None, count: int = ENDPOINTS) -> Template:
    """So many deliveries of 1 KB each, due for so many endpoints: each notification is owed to all."""
    url = server.create() if server else f"sqlite:///{folder}/template.db"
    with closing(Database(url)) as database:
        schema.migrate(database)
        _fill(database, deliveries // count, count)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE" if server else "ANALYZE"))
    return Template(url.rpartition("/")[2], folder, server)


def left_over(engine: Engine) -> tuple[int, int]:
    """How many deliveries are not delivered, and how many attempts were written down."""
    with engine.connect() as connection:
        pending = connection.execute(text("SELECT count(*) FROM delivery WHERE status <> 'delivered'")).scalar()
        attempts = connection.execute(text("SELECT count(*) FROM attempt")).scalar()
    return int(pending or 0), int(attempts or 0)


def _fill(database: Database, notifications: int, count: int) -> None:
    with database.transaction() as session:
        for name in names(count):
            endpoints.register(session, name, _MADE_AT)
        session.execute(update(EndpointRow).values(due_at=_MADE_AT))
        session.add(Source(id=1, name="registrar", provider="stand_in", created_at=_MADE_AT, start_at=None,
                           next_poll_at=_MADE_AT + timedelta(days=36_500)))  # fmt: skip
    step = _AT_ONCE // count
    for first in range(1, notifications + 1, step):
        numbers = range(first, min(first + step, notifications + 1))
        with database.transaction() as session:
            session.execute(insert(NotificationRow), [_notification(number) for number in numbers])
            session.execute(insert(Message), [_message(number) for number in numbers])
            session.execute(
                insert(Delivery),
                [_delivery(number, endpoint) for number in numbers for endpoint in range(1, count + 1)],
            )


def _notification(number: int) -> dict[str, object]:
    return {
        "id": UUID(int=number), "source_id": 1, "external_id": str(number), "revision": 1,
        "content_hash": f"{number:064x}", "message_id": f"msg_{number:032x}", "kind": "transfer", "title": "A transfer",
        "status": "open", "events": "[]", "raw": "{}", "first_seen_at": _MADE_AT, "followed": False,
        "occurred_at": _MADE_AT,
    }  # fmt: skip


def _message(number: int) -> dict[str, object]:
    body = orjson.dumps({"type": "notification.created", "data": {"id": number, "text": ""}})
    return {
        "id": f"msg_{number:032x}", "type": "notification.created", "source_id": 1, "notification_id": UUID(int=number),
        "revision": 1, "kind": "transfer", "status": "open", "created_at": _MADE_AT,
        "body": body[:-3] + b"x" * (BODY - len(body)) + body[-3:],
    }  # fmt: skip


def _delivery(number: int, endpoint: int) -> dict[str, object]:
    return {
        "message_id": f"msg_{number:032x}", "endpoint_id": endpoint, "notification_id": UUID(int=number), "revision": 1,
        "status": "pending", "trigger": "first", "attempts": 0, "round": 0, "created_at": _MADE_AT,
        "next_attempt_at": _MADE_AT + timedelta(milliseconds=number),
    }  # fmt: skip
