from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.schedule.town import house
from worker.rest.client import Api, Client
from worker.rest.kept import Kept
from worker.sandbox import Sandbox

_ESTABLISHED = "01"


class Counted(Client):
    """A client that counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


@pytest.fixture
def clients() -> dict[str, Counted]:
    return {name: Counted(Api(base_url="http://127.0.0.1:9")) for name in ("a", "b", "c")}


@pytest.fixture
def kept(clients: dict[str, Counted]) -> Iterator[Kept]:
    made = Kept(most=2)
    for name, client in clients.items():
        made.add(name, client)
    with closing(made):
        yield made


def _closed(clients: dict[str, Counted]) -> list[str]:
    return [name for name, client in clients.items() if client.closed]


def _use(kept: Kept, *names: str) -> None:
    for name in names:
        with kept.using(name):
            pass


def test_those_that_were_used_last_keep_their_connections(kept: Kept, clients: dict[str, Counted]) -> None:
    _use(kept, "a", "b", "a", "c")
    assert _closed(clients) == ["b"]


def test_what_is_in_use_keeps_its_connections(kept: Kept, clients: dict[str, Counted]) -> None:
    with kept.using("a"):
        _use(kept, "b", "c")
        assert _closed(clients) == []
    assert _closed(clients) == ["b"]


def test_in_the_end_all_are_closed(kept: Kept, clients: dict[str, Counted]) -> None:
    kept.close()
    assert _closed(clients) == ["a", "b", "c"]


def test_however_many_sources_there_are_a_hundred_connections_are_kept(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        (offered,) = [own for own in sandbox.sources().values() if own["provider"] == "bookkeep"]
        sources = {f"s{number}": {**offered, "every": "5m"} for number in range(130)}
        home = house(tmp_path, f"sqlite:///{tmp_path}/kept.db", sources, lambda: datetime.now(UTC))
        with closing(home):
            home.move_in()
            for name in (*sources, "s0"):
                assert home.poll(name, only_due=False)
            assert 100 == _connections_to(sandbox.sources()["bookkeep"]["base_url"])


def _connections_to(url: object) -> int:
    """How many connections of this machine to that address are open, by the kernel's table."""
    port = f":{urlsplit(str(url)).port:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(1 for line in lines if (fields := line.split())[2].endswith(port) and fields[3] == _ESTABLISHED)
