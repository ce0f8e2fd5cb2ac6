"""Which schema a database has, and bringing it up to date."""

from importlib.resources import files

from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from worker.errors import ConfigurationError
from worker.store.session import Database, reason

_TABLE = "tocsin_schema"
HEAD = "0007"
"""The schema of this version; the newest file in migrations/versions."""


def current(database: Database) -> str | None:
    """The database's schema, None when it is empty. Raises ConfigurationError when it can't be reached."""
    try:
        with database.engine.connect() as connection:
            if not inspect(connection).has_table(_TABLE):
                return None
            return connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608  # our own name
    except DBAPIError as error:
        raise ConfigurationError([f"database: it can't be used: {reason(error)}"]) from None


def migrates_itself(database: Database) -> bool:
    """SQLite is migrated by whoever comes first; PostgreSQL, which others may be using, by `tocsin migrate`."""
    return database.engine.dialect.name == "sqlite"


def migrate(database: Database) -> bool:
    """Bring the database to this version's schema, in one transaction; true if there was something to do.

    Two processes may try at once: the second waits, and finds it done. Raises ConfigurationError when the schema is
    newer than this version's.
    """
    from alembic import command  # noqa: PLC0415  # a tenth of a second that most commands don't need
    from alembic.config import Config  # noqa: PLC0415

    found = current(database)
    if found == HEAD:
        return False
    _refuse_newer(found)
    config = Config()
    config.set_main_option("script_location", str(files("worker.store") / "migrations"))
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7053)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def require(database: Database) -> None:
    """See to it that the schema is this version's: SQLite is migrated, PostgreSQL must have been.

    Raises ConfigurationError naming the command, or the version that is too old.
    """
    found = current(database)
    if found == HEAD:
        return
    _refuse_newer(found)
    if migrates_itself(database):
        migrate(database)
        return
    was = f"its schema is {found}" if found else "it has no tables yet"
    raise ConfigurationError([f"database: {was}, this version needs {HEAD}: run tocsin migrate"])


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise ConfigurationError(
            [f"database: its schema ({found}) is newer than this version's ({HEAD}): update Tocsin"]
        )
