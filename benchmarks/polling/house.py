"""The house of the benchmarks: one source, two endpoints that want all of it, and databases that are ready for it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.polling.feed import AT
from tests.servers import Postgres
from worker import wiring
from worker.sandbox.configuration import written
from worker.store import schema
from worker.wiring import House

ENVIRON = {"SEAL": "dG9jc2luLXRlc3Qta2V5LXRvY3Npbi10ZXN0LWtleS0="}
_PROVIDER = {
    "path": "/list",
    "items": "items",
    "id": "id",
    "page": {"kind": "link", "next": "next", "stable": True},
    "time": {"field": "created", "order": "oldest_first", "grain": "1s"},
    "map": {
        "kind": "type",
        "title": "title",
        "status": {"path": "state", "values": {"open": "new", "done": "resolved"}},
        "subject_id": "domain.name",
        "message": "message",
        "occurred_at": "created",
        "updated_at": "updated",
    },
}


class DurablePostgres(Postgres):
    """A PostgreSQL as it comes, which keeps what it has committed."""

    def _command(self) -> list[str]:
        lax = {"fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"}
        words = super()._command()
        kept = [word for word in words if word not in lax and word != "-c"]
        program, options = kept[:3], kept[3:]
        return [*program, *(word for option in options for word in ("-c", option))]

    @property
    def pid(self) -> int:
        """The postmaster."""
        return self._process.pid if self._process else 0


def move_in(folder: Path, url: str, address: str) -> None:
    """The schema, the source and the endpoints; the configuration in the folder."""
    source = {"provider": "feed", "base_url": address, "start_at": "beginning", "page_size": 500}
    endpoints = {
        name: {"url": f"https://{name}.example.com/", "secret": "whsec_" + "c2VjcmV0" * 4} for name in ("erp", "crm")
    }
    tables: dict[str, dict[str, Any]] = {
        "providers": {"feed": _PROVIDER},
        "sources": {"feed": source},
        "endpoints": endpoints,
    }
    file = folder / "tocsin.toml"
    file.write_text(written({"database": url, "key": {"env": "SEAL"}}, tables), encoding="utf-8")
    with closing(House(wiring.read_settings(file, ENVIRON), lambda: AT)) as home:
        schema.migrate(home.database)
        home.move_in()


@contextmanager
def place(server: DurablePostgres | None, address: str) -> Iterator[tuple[Path, str]]:
    """A folder and the URL of a new database, ready for the first page; gone afterwards. None: SQLite in the folder."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        url = server.create() if server else f"sqlite:///{folder}/tocsin.db"
        try:
            move_in(folder, url, address)
            yield folder, url
        finally:
            if server:
                server.drop(url)
