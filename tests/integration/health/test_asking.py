"""Who asks: the command, and a monitor over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.cli.desk import Desk
from tests.integration.metrics.scraped import get
from tests.servers import free_port
from worker import wiring
from worker.measuring import Measuring
from worker.metrics import health_page
from worker.settings.wording import one_line

_ROOT = Path(__file__).parents[3]
_HEAVY = ("sqlalchemy", "celery", "requests", "pycurl", "structlog", "alembic", "prometheus_client", "worker.providers")
_LOADED = f"""
import sys
from worker.cli.__main__ import main
try:
    main()
except SystemExit as ended:
    print(ended.code, *[name for name in {_HEAVY!r} if name in sys.modules])
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder with a configuration of nothing, on a port of its own."""
    desk = Desk(
        tmp_path, {"TOCSIN_METRICS": f"127.0.0.1:{free_port()}", "TOCSIN_CONFIG": str(tmp_path / "tocsin.toml")}
    )
    desk.configure({}, {})
    return desk


def everything_is_looked_for(desk: Desk) -> None:
    with desk.house() as house:
        assert (0, []) == (house.deliver(), house.due_sources(""))


def test_it_says_a_line_each_and_exits_1_until_all_is_well(desk: Desk) -> None:
    assert (1, "database: FAILED; ") == ((first := desk.tocsin("health")).code, first.out[:18])
    assert desk.tocsin("migrate").code == 0
    everything_is_looked_for(desk)
    second = desk.tocsin("health")
    assert second.code == 0
    assert [line.split(";")[0] for line in second.out.splitlines()] == [
        "database: ok",
        "broker: ok",
        "sweep: ok",
        "tick: ok",
    ]


def test_json_is_one_object(desk: Desk) -> None:
    row = desk.tocsin("health", "--json").row
    assert (row["status"], row["broker"]) == ("failing", {"ok": True, "text": "memory://, one process"})


def test_a_configuration_that_cannot_be_read_is_exit_2(desk: Desk) -> None:
    said = desk.tocsin("--config", "nowhere.toml", "health")
    assert said.code == 2
    assert "there is no such file" in one_line(said.err)


def test_the_command_loads_little_wherever_its_configuration_stands(desk: Desk) -> None:
    for words in (["health"], ["--config", "tocsin.toml", "health"], ["health", "--config=tocsin.toml"]):
        said = subprocess.run(
            [sys.executable, "-c", _LOADED, *words],
            cwd=desk.folder,
            env={"PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.splitlines()[-1] == "1"


@pytest.fixture
def port(desk: Desk) -> Iterator[int]:
    """Where a house of the desk's configuration answers."""
    settings = wiring.read_settings(None, desk.environ)
    measuring = Measuring()
    with closing(wiring.House(settings)) as home:
        measuring.begin(settings.metrics)
        measuring.serve(home)
        yield int(desk.environ["TOCSIN_METRICS"].rpartition(":")[2])
        measuring.close()


def test_a_monitor_gets_503_and_the_same_words(port: int) -> None:
    status, content_type, text = get(port, "/healthz")
    assert (status, content_type) == (503, "application/json")
    assert json.loads(text)["database"]["ok"] is False


def test_a_monitor_gets_200_where_all_is_well(desk: Desk, port: int) -> None:
    assert desk.tocsin("migrate").code == 0
    everything_is_looked_for(desk)
    status, _, text = get(port, "/healthz")
    assert (status, json.loads(text)["status"]) == (200, "ok")


def test_many_who_ask_at_once_cost_one_look() -> None:
    looks: list[int] = []

    def look() -> dict[str, str]:
        looks.append(1)
        return {"status": "ok"}

    page = health_page(look)
    assert page("").body == page("").body == b'{"status":"ok"}'
    assert len(looks) == 1


def test_metrics_alone_needs_an_address(desk: Desk) -> None:
    desk.environ["TOCSIN_METRICS"] = "off"
    said = desk.tocsin("metrics")
    assert (said.code, said.err.split(":")[0]) == (2, "metrics")
