"""Which schema a database has, and bringing it up to date."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

from worker.errors import ConfigurationError
from worker.store import head
from worker.store.head import Found
from worker.store.postgresql import is_waiting_in_vain
from worker.store.session import Database, reason

if TYPE_CHECKING:
    from alembic.config import Config

_TABLE = "tocsin_schema"
HEAD = head.HEAD

_ATTEMPTS, _REST_S = 10, 3.0
_EXEMPT = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL lock_timeout = 0",
    "SELECT pg_advisory_xact_lock(7053)",
    "SET LOCAL lock_timeout = '3s'",
)
"""A migration takes as long as it takes, and of two one waits for the other. But where it waits for somebody to let go
of a table, as a backup does after hours, all who use that table wait behind it."""

_SINCE_THE_RULE = "0007"
_SAYS_COMPATIBLE = "0009"


def found(database: Database) -> Found | None:
    """The database's schema, None when it is empty. Raises ConfigurationError when it can't be reached."""
    try:
        with database.engine.connect() as connection:
            if not inspect(connection).has_table(_TABLE):
                return None
            row = connection.execute(text(f"SELECT * FROM {_TABLE}")).mappings().first()  # noqa: S608  # our own name
    except DBAPIError as error:
        raise ConfigurationError([f"database: it can't be used: {reason(error)}"]) from None
    return Found(row["version_num"], row.get("compatible_since")) if row else None


def current(database: Database) -> str | None:
    """Its newest migration, None when it is empty. Raises ConfigurationError when it can't be reached."""
    there = found(database)
    return there.version if there else None


def migrates_itself(database: Database) -> bool:
    """SQLite is migrated by whoever comes first; PostgreSQL, which others may be using, by `tocsin migrate`."""
    return database.engine.dialect.name == "sqlite"


def migrate(
    database: Database, told: Callable[[str], None] = lambda _: None, to: str = HEAD, further: Sequence[Path] = ()
) -> bool:
    """Bring the database to this version's schema, in one transaction; true if there was something to do.

    Two processes may try at once: the second waits, and finds it done. `told` hears of it when others are in the way,
    and that it is tried again. `to` is another schema than this version's, and `further` folders may hold newer
    migrations. Raises ConfigurationError when the schema is newer, and this version can't be at work on it.
    """
    there = found(database)
    if there and there.version >= to:
        _refuse(there.problem(to))
        return False
    for left in reversed(range(_ATTEMPTS)):
        try:
            with database.engine.begin() as connection:
                _upgrade(connection, to, further)
        except OperationalError as error:
            if not is_waiting_in_vain(error.orig):
                raise
            if not left:
                raise ConfigurationError(
                    ["database: others hold a table that is to change, perhaps a backup: run tocsin migrate later"]
                ) from None
            told("others hold a table that is to change; trying again")
            Event().wait(_REST_S)
        else:
            return True
    raise AssertionError  # the last attempt returns or raises


def _upgrade(connection: Connection, to: str, further: Sequence[Path]) -> None:
    from alembic import command  # noqa: PLC0415  # a tenth of a second that most commands don't need
    from alembic.config import Config  # noqa: PLC0415

    folder = Path(str(files("worker.store") / "migrations"))
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, (folder / "versions", *further))))
    if connection.dialect.name == "postgresql":
        for statement in _EXEMPT:
            connection.execute(text(statement))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    if to >= _SAYS_COMPATIBLE:
        since = compatible_since(config, to)
        connection.execute(text(f"UPDATE {_TABLE} SET compatible_since = :since"), {"since": since})  # noqa: S608


def compatible_since(config: "Config", to: str) -> str:
    """The oldest version whose processes survive all migrations up to that one."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    steps = ScriptDirectory.from_config(config).iterate_revisions(to, "base")
    return max(str(getattr(step.module, "survived_by", _SINCE_THE_RULE)) for step in steps)


def require(database: Database) -> None:
    """See to it that this version can be at work on the schema: SQLite is migrated, PostgreSQL must have been.

    Raises ConfigurationError naming the command, or the version that is too old.
    """
    there = found(database)
    if (there is None or there.version < HEAD) and migrates_itself(database):
        migrate(database)
        return
    _refuse(there.problem() if there else f"it has no tables yet, this version needs {HEAD}: run tocsin migrate")


def _refuse(problem: str | None) -> None:
    if problem:
        raise ConfigurationError([f"database: {problem}"])
