"""What a version says to PostgreSQL while it works, statement by statement, to be said again to a newer schema.

A release is recorded with its own code, once: `python -m tests.released tests/recordings/released/0007.json`. Played
to an empty database of another version, every statement must come to as many rows as it did then.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg
from cryptography.fernet import Fernet
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, make_url

from tests.servers import Postgres
from worker import wiring
from worker.sandbox import Sandbox
from worker.sandbox.configuration import configuration
from worker.store import schema
from worker.store.session import Database

FOLDER = Path(__file__).parent / "recordings" / "released"
_OF_STARTING = "tocsin_schema", "pg_catalog"
"""Whether a process may start says the schema, by what it is now; that has tests of its own."""

Said = tuple[str, Any, int]
"""A statement, its values (of many executions, or one), the rows that it came to."""


@contextmanager
def heard() -> Iterator[list[Said]]:
    """All that is said to any database meanwhile."""
    found: list[Said] = []

    def hear(_connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not any(name in statement for name in _OF_STARTING):
            found.append((statement, values, cursor.rowcount))

    event.listen(Engine, "after_cursor_execute", hear)
    try:
        yield found
    finally:
        event.remove(Engine, "after_cursor_execute", hear)


def record(url: str, folder: Path) -> list[Said]:
    """Polls with what is new and what has changed, claims, deliveries and their records, on a migrated database."""
    with Sandbox() as sandbox:
        (folder / "tocsin.toml").write_text(configuration(sandbox, "1s"), encoding="utf-8")
        environ = {"TOCSIN_DATABASE": url, "TOCSIN_KEY": Fernet.generate_key().decode()}
        settings = wiring.read_settings(folder / "tocsin.toml", environ)
        with heard() as said, closing(wiring.open_house(settings)) as home:
            for do in (sandbox.publish, sandbox.change):
                do(2)
                for source in settings.sources:
                    home.poll(source, only_due=False)
                home.deliver()
        assert not sandbox.broken_promises()
    return said


def play(said: Sequence[Said], url: str) -> list[Said]:
    """Say it again. What came to another number of rows, with that number."""
    odd: list[Said] = []
    with psycopg.connect(_of_libpq(make_url(url))) as connection, connection.cursor() as cursor:
        for statement, values, rows in said:
            if isinstance(values, list):
                cursor.executemany(statement.encode(), values)
            else:
                cursor.execute(statement.encode(), values)
            if cursor.rowcount != rows:
                odd.append((statement, values, cursor.rowcount))
    return odd


def dumped(said: Sequence[Said]) -> str:
    """As JSON, each statement once."""
    statements = list(dict.fromkeys(statement for statement, _, _ in said))
    lines = [json.dumps([statements.index(of), values, rows], default=_plain) for of, values, rows in said]
    return json.dumps(statements, indent=0) + "\n" + "\n".join(lines) + "\n"


def loaded(text: str) -> list[Said]:
    """From that JSON."""
    statements, end = json.JSONDecoder().raw_decode(text)
    lines = [json.loads(line, object_hook=_value) for line in text[end:].splitlines() if line]
    return [(statements[of], values, rows) for of, values, rows in lines]


def _plain(value: Any) -> dict[str, str]:
    if isinstance(value, datetime):
        return {"$at": value.isoformat()}
    if isinstance(value, UUID):
        return {"$uuid": str(value)}
    return {"$bytes": bytes(value.obj).decode()}  # psycopg's Binary: of ours, all of them are JSON


def _value(found: dict[str, Any]) -> Any:
    kinds = {"$at": datetime.fromisoformat, "$uuid": UUID, "$bytes": str.encode}
    (kind,) = found if len(found) == 1 else (None,)
    return kinds[kind](found[kind]) if kind in kinds else found


def _of_libpq(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _main() -> None:
    with Postgres() as server, TemporaryDirectory() as folder:
        url = server.create()
        with closing(Database(url)) as database:
            schema.migrate(database)
        Path(sys.argv[1]).write_text(dumped(record(url, Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    _main()
