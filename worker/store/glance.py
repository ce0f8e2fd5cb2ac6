"""What a health check wants of the database, at a fraction of what SQLAlchemy takes to load: it is asked all the time.

One connection, two statements, the drivers themselves. Everything else in `store` uses SQLAlchemy.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from worker.errors import ConfigurationError
from worker.store.head import Found

SWEEP = "sweep"
"""Deliveries were looked for: a beat sent a tick, the broker kept it, a worker took it, the database answered."""
TICK = "tick"
"""Sources that are due were looked for: the same, by a worker that polls."""

_SQLITE = "sqlite:///"
_SCHEMA = "SELECT * FROM tocsin_schema"
_BEATS = ", ".join(f"(SELECT at FROM heartbeat WHERE name = '{name}')" for name in (SWEEP, TICK))  # noqa: S608  # ours
_LOOKED = "SELECT count(*) FROM {} WHERE {} = 'tocsin_schema'"


@dataclass(frozen=True, slots=True)
class Glance:
    """The database's schema, None: it has no tables; when deliveries and sources were last looked for, None: never."""

    schema: Found | None
    swept_at: datetime | None = None
    ticked_at: datetime | None = None


def glance(url: str, head: str, patience: timedelta) -> Glance:
    """One look. The heartbeat is asked for where the schema is `head` or newer. Raises ConfigurationError, one line."""
    try:
        with closing(_connection(url, patience)) as connection:
            return _look(lambda statement: connection.execute(statement).fetchone(), url, head)
    except _trouble(url) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigurationError([f"it can't be used: {reason}"]) from None


def _look(one: Callable[[str], Any], url: str, head: str) -> Glance:
    there = _LOOKED.format(*(("sqlite_master", "name") if url.startswith(_SQLITE) else ("pg_tables", "tablename")))
    if not one(there)[0]:
        return Glance(None)
    row = one(_SCHEMA)
    schema = Found(*row) if row else None
    beats = one(f"SELECT {_BEATS}") if schema and schema.version >= head else (None, None)
    return Glance(schema, *(_instant(at) if at else None for at in beats))


def _connection(url: str, patience: timedelta) -> Any:
    seconds = patience.total_seconds()
    if url.startswith(_SQLITE):
        return sqlite3.connect(f"file:{quote(url.removeprefix(_SQLITE))}?mode=ro", uri=True, timeout=seconds)
    wanted = {"connect_timeout": max(2, round(seconds)), "application_name": "tocsin-health"}
    return _psycopg().connect(**{**wanted, **_parameters(urlsplit(url))}, autocommit=True)


def _trouble(url: str) -> type[Exception]:
    return sqlite3.Error if url.startswith(_SQLITE) else _psycopg().Error


def _psycopg() -> Any:
    import psycopg  # noqa: PLC0415  # a twentieth of a second that SQLite can do without

    return psycopg


def _parameters(parts: SplitResult) -> dict[str, Any]:
    """A URL as libpq takes it. Several hosts stand in SQLAlchemy's way, `?host=a:5432&host=b:5432`."""
    query = parse_qsl(parts.query)
    hosts = [value.partition(":") for name, value in query if name == "host"]
    found = {
        "host": ",".join(host for host, _, _ in hosts) or parts.hostname,
        "port": ",".join(port or "5432" for _, _, port in hosts) or parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.removeprefix("/")),
    }
    others = {name: value for name, value in query if name not in {"host", "prepare_threshold"}}
    return {name: value for name, value in found.items() if value} | others


def _instant(at: datetime | str) -> datetime:
    """SQLite keeps it as text, in UTC."""
    read = datetime.fromisoformat(at) if isinstance(at, str) else at
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
