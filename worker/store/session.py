"""The database: connections and transactions, on SQLite and PostgreSQL alike."""

from collections.abc import Container, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, Table, event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, create_engine

from worker.store.postgresql import pool
from worker.store.turns import Turns

BUSY_TIMEOUT: Final = timedelta(seconds=30)
"""How long a transaction waits for SQLite's write lock: for its turn among our threads, then for other processes."""

_HARDLY_LATE_S = 0.25
_ALONE: Final = {"isolation_level": "AUTOCOMMIT"}
"""A statement is a transaction by itself: PostgreSQL needn't be told of its beginning and its end."""

PASSING = (exc.OperationalError, exc.InternalError, exc.TimeoutError)
"""What is raised of a database that is gone, locked, full or read-only, and of a deadlock: it may go well later.
PostgreSQL calls some of it an internal error, as what follows from a transaction that it ended."""

TROUBLE = (*PASSING, exc.ProgrammingError)
"""The same, and a database that is not as it was; anything else is our fault."""


def reason(error: exc.SQLAlchemyError) -> str:
    """The database's own words, on one line; neither a statement nor its values nor an address."""
    said = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(said).strip().partition("\n")[0] or type(said).__name__


_TOO_MUCH = "54"
"""The class of what is over a limit of PostgreSQL, as a text too long for an index: a row's fault, tomorrow too."""


def is_passing(error: BaseException) -> bool:
    """Whether the database is in trouble, which says nothing of the rows that it was given."""
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, PASSING) and not sqlstate.startswith(_TOO_MUCH)


class Database:
    """One engine. `transaction` writes and commits or rolls back whole; `reading` never waits for writers."""

    def __init__(self, url: str, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self._busy_s, on_sqlite = busy_timeout.total_seconds(), url.startswith("sqlite")
        self.engine = _sqlite(url, self._busy_s) if on_sqlite else pool(url)
        self._reader = self.engine.execution_options(tocsin_begin="BEGIN")
        self._looker = self._reader if on_sqlite else self.engine.execution_options(**_ALONE)
        self._turns = Turns(self._busy_s) if on_sqlite else None

    @contextmanager
    def transaction(self, *, first: bool = False) -> Iterator[Session]:
        """One short transaction that may write; on SQLite it takes the write lock at once.

        There, threads of a process take turns, since who finds the file locked sleeps up to a tenth of a second between
        two looks; who is `first` goes before the others. Whoever got its turn late waits for the lock so much less.
        """
        turn = self._turns.turn(first=first) if self._turns else nullcontext(self._busy_s)
        with turn as left_s, Session(self.engine, expire_on_commit=False) as session, session.begin():
            if left_s < self._busy_s - _HARDLY_LATE_S:
                session.connection(execution_options={"tocsin_busy_s": max(0.0, left_s)})
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads: what is changed of its rows is not written.

        It ends with a commit: after a rollback, psycopg would drop all statements that it has prepared.
        """
        with Session(self._reader, expire_on_commit=False) as session, session.begin():
            yield session
            session.expunge_all()

    def finds(self, statement: Select[Any], **values: object) -> bool:
        """Whether it finds anything. Without a session, which costs as much as all the rest of so small a look."""
        with self._looker.begin() as connection:
            return connection.execute(statement, values).first() is not None

    def finds_any_of(self, names: Container[str], statement: Select[Any], **values: object) -> bool:
        """Whether it finds one of these names. They are looked up here: how many they are costs nothing."""
        with self._looker.begin() as connection, connection.execute(statement, values) as found:
            return any(name in names for name in found.scalars())

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


def _sqlite(url: str, busy_s: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_s, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 would begin only at the first write
        for pragma in (_busy(busy_s), "journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        begins, left_s = options.get("tocsin_begin", "BEGIN IMMEDIATE"), options.get("tocsin_busy_s")
        if left_s is None:
            connection.exec_driver_sql(begins)
            return
        connection.exec_driver_sql(f"PRAGMA {_busy(left_s)}")
        try:
            connection.exec_driver_sql(begins)
        finally:
            connection.exec_driver_sql(f"PRAGMA {_busy(busy_s)}")

    return engine


def _busy(seconds: float) -> str:
    return f"busy_timeout={round(1000 * seconds)}"
