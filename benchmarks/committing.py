"""When messages were committed, by those who know: PostgreSQL itself, and `tocsin` on SQLite if it is run by this file.

`committing.py FILE WORD…` is `tocsin WORD…`, with a line in that file for each transaction that was committed. On
SQLite a transaction has the database for itself, so the next commit after a message was made is that message's.
"""

import sys
import time
from bisect import bisect
from datetime import datetime
from pathlib import Path

from sqlalchemy import event, func, literal_column
from sqlmodel import Session, col, select

from benchmarks.stage import Durable
from worker.store.session import Database
from worker.store.tables import Message


class Dated(Durable):
    """A PostgreSQL that remembers when each transaction was committed."""

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", "track_commit_timestamp=on"]


def committed(database: Database, began: float, ended: float, stamps: Path) -> dict[str, float]:
    """When each message was committed that was made in that time: seconds of the machine's clock."""
    made = select(Message.id, Message.created_at).where(col(Message.created_at).between(_at(began), _at(ended)))
    with database.reading() as session:
        if database.engine.dialect.name == "postgresql":
            dated = made.with_only_columns(Message.id, func.pg_xact_commit_timestamp(literal_column("message.xmin")))
            return {identity: at.timestamp() for identity, at in session.execute(dated).all()}
        rows = session.execute(made).all()
    commits = [float(line) for line in stamps.read_text(encoding="ascii").split()]
    return {identity: commits[bisect(commits, at.timestamp())] for identity, at in rows}


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()


def main() -> None:
    """`tocsin`, watched."""
    from worker.cli.main import main as tocsin  # noqa: PLC0415  # as late as it is loaded otherwise

    with Path(sys.argv.pop(1)).open("a", encoding="ascii", buffering=1) as stamps:

        @event.listens_for(Session, "after_commit")
        def write_down(session: Session) -> None:
            if "tocsin_begin" not in session.get_bind().get_execution_options():  # what only reads commits too
                stamps.write(f"{time.time():.6f}\n")

        tocsin()


if __name__ == "__main__":
    main()
