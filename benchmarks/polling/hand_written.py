"""The floor: the best loop that we can write by hand for one provider, with the same rows in the same tables.

It does what Tocsin does, for what this one provider gives: it follows the next links, looks up what is known of a page,
tells a change from a repetition by its hash, and stores notifications, sealed messages and deliveries, with its
progress, in one commit a page. What it leaves out is all that makes Tocsin fit for other providers and bad days:
contracts, rejected rows, budgets, deadlines, filters of endpoints, following what is open. To be certain that it does
no less, the benchmarks compare what both have stored, row by row.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson
import psycopg
import requests

from benchmarks.polling.feed import AT
from benchmarks.polling.statements import POSTGRESQL, SQLITE

SOURCE, SLUG = "feed", "feed"
_NAMESPACE = bytes.fromhex("7f1c3a525d0e5b7e9a5770c51a000000")
_STATUSES = {"open": "new", "done": "resolved"}
_SORTED = orjson.OPT_SORT_KEYS
_NOW = "2026-03-20T12:00:00Z"
_ZERO = hashlib.sha1(_NAMESPACE + SOURCE.encode() + b"\n")  # noqa: S324  # as a UUID of version 5 is made


class Known(NamedTuple):
    """What the store has of a notification."""

    content_hash: str
    revision: int
    message_id: str
    status: str
    first_seen_at: str


class Tables(Protocol):
    """A database, as this loop asks it."""

    def known(self, external_ids: Sequence[str]) -> dict[str, Known]:
        """What is known of these."""

    def store(self, rows: Sequence[dict[str, Any]]) -> None:
        """New or changed notifications, their messages and deliveries, and progress; and commit."""


def read_all(address: str, tables: Tables) -> int:
    """One pass over the list; how many rows were new or changed."""
    told = 0
    with requests.Session() as session:
        session.trust_env = False
        place: str | None = f"{address}/list"
        while place:
            answer = orjson.loads(session.get(place, timeout=30).content)
            rows = _told(answer["items"], tables)
            tables.store(rows)
            told += len(rows)
            place = answer["next"]
    return told


def _told(items: Sequence[dict[str, Any]], tables: Tables) -> list[dict[str, Any]]:
    hashed = [(item, _STATUSES[item["state"]]) for item in items]
    digests = [_digest(item, status) for item, status in hashed]
    known = tables.known([item["id"] for item in items])
    rows = []
    for (item, status), digest in zip(hashed, digests, strict=True):
        before = known.get(item["id"])
        if before is None or before.content_hash != digest:
            rows.append(_row(item, status, digest, before))
    return sorted(rows, key=lambda row: str(row["id"]))


def _digest(item: dict[str, Any], status: str) -> str:
    kept = {name: value for name, value in item.items() if value is not None}
    return hashlib.sha256(orjson.dumps([status, [], kept], option=_SORTED)).hexdigest()


def _uuid(external_id: str) -> str:
    digest = _ZERO.copy()
    digest.update(external_id.encode())
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:32]}"


def _row(item: dict[str, Any], status: str, digest: str, before: Known | None) -> dict[str, Any]:
    """One notification as its tables have it, with its message; orjson's dates are text already."""
    external_id = item["id"]
    identity = _uuid(external_id)
    number, kind, previous, follows = 1, "notification.created", None, ""
    first_seen_at = _NOW
    if before is not None:
        number, kind, previous, follows = before.revision + 1, "notification.updated", before.status, before.message_id
        first_seen_at = before.first_seen_at
    parts = orjson.dumps([SOURCE, external_id, kind, digest, follows])
    message_id = "msg_" + hashlib.sha256(parts).hexdigest()[:40]
    domain, created, updated = item["domain"]["name"], item["created"], item["updated"]
    content = {
        "id": identity, "source": SOURCE, "provider": SLUG, "external_id": external_id, "revision": number,
        "kind": item["type"], "title": item["title"], "status": status, "previous_status": previous,
        "provider_status": item["state"], "subject": {"type": None, "id": domain},
        "message": item["message"], "reason": None, "occurred_at": created, "updated_at": updated,
        "expires_at": None, "read_at": None, "closed_at": None, "provider_delivered_at": None,
        "first_seen_at": first_seen_at, "correlation_id": None, "events": [], "raw": item,
    }  # fmt: skip
    body = orjson.dumps({"type": kind, "timestamp": _NOW, "data": content})
    return {
        "id": identity, "external_id": external_id, "revision": number, "content_hash": digest,
        "message_id": message_id, "type": kind, "kind": item["type"], "title": item["title"], "status": status,
        "provider_status": item["state"], "subject_id": domain, "message": item["message"], "occurred_at": created,
        "updated_at": updated, "tracked_since": created if before is None else _NOW, "raw": orjson.dumps(item).decode(),
        "followed": status == "new", "body": body.decode(),
    }  # fmt: skip


class OnPostgres:
    """One JSON parameter, one statement, one commit a page."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn)
        self._connection.execute("SET timezone = 'UTC'")
        (self._source,) = self._one("SELECT id FROM source WHERE name = 'feed'")
        (self._endpoints,) = self._one("SELECT array_agg(id ORDER BY id) FROM endpoint")
        self._connection.commit()

    def _one(self, statement: str) -> Any:
        return self._connection.execute(statement.encode()).fetchone()

    def known(self, external_ids: Sequence[str]) -> dict[str, Known]:
        """What is known of these."""
        found = self._connection.execute(POSTGRESQL.known, (list(external_ids), self._source)).fetchall()
        return {
            name: Known(digest, number, told, status, _written(at)) for name, digest, number, told, status, at in found
        }

    def store(self, rows: Sequence[dict[str, Any]]) -> None:
        """A page, and commit."""
        if rows:
            written = orjson.dumps(rows).decode()
            self._connection.execute(POSTGRESQL.store, (written, self._source, AT, self._endpoints))
            self._connection.execute(POSTGRESQL.wake, (AT, self._endpoints))
        self._connection.execute(POSTGRESQL.advance, (AT, self._source))
        self._connection.commit()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class OnSqlite:
    """executemany, one commit a page."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "busy_timeout=30000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._source = self._connection.execute("SELECT id FROM source WHERE name = 'feed'").fetchone()[0]
        self._endpoints = [one for (one,) in self._connection.execute("SELECT id FROM endpoint ORDER BY id")]

    def known(self, external_ids: Sequence[str]) -> dict[str, Known]:
        """What is known of these; the write lock is taken at once."""
        self._connection.execute("BEGIN IMMEDIATE")
        asked = orjson.dumps(external_ids).decode()
        found = self._connection.execute(SQLITE.known, (asked, self._source)).fetchall()
        return {
            name: Known(digest, number, told, status, _written(datetime.fromisoformat(at)))
            for name, digest, number, told, status, at in found
        }

    def store(self, rows: Sequence[dict[str, Any]]) -> None:
        """A page, and commit."""
        if rows:
            self._connection.executemany(SQLITE.notification, [self._notification(row) for row in rows])
            self._connection.executemany(SQLITE.message, [self._message(row) for row in rows])
            owed = [self._delivery(row, endpoint) for row in rows for endpoint in self._endpoints]
            self._connection.executemany(SQLITE.delivery, owed)
            self._connection.executemany(SQLITE.wake, [(_AT, endpoint) for endpoint in self._endpoints])
        self._connection.execute(SQLITE.advance, (_AT, self._source))
        self._connection.execute("COMMIT")

    def _notification(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            row["id"].replace("-", ""), self._source, row["external_id"], row["revision"], row["content_hash"],
            row["message_id"], row["kind"], row["title"], row["status"], row["provider_status"], row["subject_id"],
            row["message"], _stored(row["occurred_at"]), _stored(row["updated_at"]), row["raw"], _AT, row["followed"],
            _stored(row["tracked_since"]),
        )  # fmt: skip

    def _message(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            row["message_id"], row["type"], self._source, row["id"].replace("-", ""), row["revision"], row["kind"],
            row["status"], row["body"].encode(), _AT,
        )  # fmt: skip

    def _delivery(self, row: dict[str, Any], endpoint: int) -> tuple[Any, ...]:
        return row["message_id"], endpoint, row["id"].replace("-", ""), row["revision"], _AT, _AT

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


_AT = f"{AT:%Y-%m-%d %H:%M:%S.%f}"


def _stored(written: str) -> str:
    """RFC 3339 as our tables have it in SQLite: a space, six digits, no zone."""
    return f"{written[:10]} {written[11:19]}.{written[20:-1]:0<6}"


def _written(at: datetime) -> str:
    return _NOW if at.replace(tzinfo=AT.tzinfo) == AT else at.isoformat()


def tables_of(url: str) -> "OnPostgres | OnSqlite":
    """The database, as this loop asks it; to be closed."""
    if url.startswith("sqlite"):
        return OnSqlite(url.removeprefix("sqlite:///"))
    return OnPostgres(url.replace("postgresql+psycopg", "postgresql"))
