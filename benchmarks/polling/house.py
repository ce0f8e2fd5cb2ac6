"""The house of the benchmarks: one source, two endpoints that want all of it, and databases that are ready for it."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.polling.feed import AT
from tests.servers import Postgres
from worker import wiring
from worker.sandbox.configuration import written
from worker.settings import Settings
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


def prepared(server: DurablePostgres | None, address: str, folder: Path) -> str:
    """A database with the schema, the source and the endpoints, to be copied: its name, or its file in the folder."""
    url = server.create() if server else f"sqlite:///{folder}/template.db"
    with closing(House(_read(folder, url, address), lambda: AT)) as home:
        schema.migrate(home.database)
        home.move_in()
    return url.rpartition("/")[2] if server else f"{folder}/template.db"


def _read(folder: Path, url: str, address: str) -> Settings:
    """The configuration, which is in the folder from now on."""
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
    return wiring.read_settings(file, ENVIRON)


@contextmanager
def place(server: DurablePostgres | None, address: str, template: str) -> Iterator[tuple[Path, str]]:
    """A folder and the URL of a database as `prepared`, for the first page; gone afterwards. None: SQLite."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        url = server.create(template) if server else f"sqlite:///{shutil.copy(template, folder / 'tocsin.db')}"
        try:
            _read(folder, url, address)
            yield folder, url
        finally:
            if server:
                server.drop(url)
