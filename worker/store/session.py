"""The database: connections and transactions, on SQLite and PostgreSQL alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlmodel import Session, SQLModel, create_engine

_BUSY_TIMEOUT_MS = 30_000
_POOL_SIZE = 10

TROUBLE = (OperationalError, ProgrammingError)
"""What is raised of a database that is gone, locked, full, read-only or not as it was; anything else is our fault."""


def reason(error: DBAPIError) -> str:
    """The database's own words, on one line; neither a statement nor its values nor an address."""
    return str(error.orig).strip().partition("\n")[0] or type(error.orig).__name__


class Database:
    """One engine. `transaction` writes and commits or rolls back whole; `reading` never waits for writers."""

    def __init__(self, url: str) -> None:
        self.engine = _sqlite(url) if url.startswith("sqlite") else _postgresql(url)
        self._reader = self.engine.execution_options(tocsin_begin="BEGIN")

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One short transaction that may write; on SQLite it takes the write lock at once."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads."""
        with Session(self._reader) as session:
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def forget(self) -> None:
        """After a fork: leave the parent's connections to the parent."""
        self.engine.dispose(close=False)


def upsert(session: Session, model: type[SQLModel]) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return postgresql.insert(table) if session.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


def storable(text: str) -> str:
    """Text as any database takes it: neither NUL nor half a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 would begin only at the first write
        for pragma in (f"busy_timeout={_BUSY_TIMEOUT_MS}", "journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("tocsin_begin", "BEGIN IMMEDIATE"))

    return engine


def _postgresql(url: str) -> Engine:
    """Pages cost what they do on disks without a head: else a claim may read all messages, rather than 500 of them."""
    limits = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=30s -c statement_timeout=120s"
    options = f"-c timezone=UTC -c random_page_cost=1.1 {limits}"
    return create_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_SIZE,
        pool_pre_ping=True,
        connect_args={"options": options, "connect_timeout": 10, "application_name": "tocsin"},
    )
