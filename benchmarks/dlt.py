"""Tocsin beside dlt: the same rows from the same pages into PostgreSQL, new and then unchanged.

    .venv/bin/python -m benchmarks.dlt [--rows 50000] [--rounds 3]

dlt reads with rest_api and merges by id, with the csv loader, its fastest; it owes no deliveries and seals no messages,
Tocsin does. dlt gets an environment of its own, below the user's cache, made at the first run.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.polling.asking import asked
from benchmarks.polling.costs import Cost
from benchmarks.polling.feed import feeding
from benchmarks.polling.house import DurablePostgres, place, prepared
from benchmarks.polling.rounds import PAGE, Asked, run
from benchmarks.row import Row, tell

PHASES = ("new", "unchanged")
WANTED = "dlt[postgres]==1.31.0"
_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
_TIMES_FASTER = {"new": 1.0, "unchanged": 4.0}
_OF_ITS_PROCESSOR, _OF_ITS_MEMORY = 0.2, 0.5


def environment() -> Path:
    """The Python of an environment that has dlt."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tocsin-benchmarks" / WANTED.replace("[postgres]==", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", WANTED], check=True)
        (folder / "ready").touch()
    return python


def measure(how: Asked = Asked(phases=PHASES)) -> list[Row]:  # noqa: B008  # it is a value
    """The rows of the table."""
    python = environment()
    ours: dict[str, list[Cost]] = {phase: [] for phase in PHASES}
    theirs: dict[str, list[Cost]] = {phase: [] for phase in PHASES}
    with feeding(how.rows, PAGE) as address, DurablePostgres() as server, TemporaryDirectory() as name:
        template = prepared(server, address, Path(name))
        for _ in range(how.rounds):
            with place(server, address, template) as (folder, url):
                for phase, one in zip(PHASES, run("tocsin", (folder, url), address, server, PHASES), strict=True):
                    ours[phase].append(one)
            for phase, one in zip(PHASES, _dlt(python, server, address), strict=True):
                theirs[phase].append(one)
    return [row for phase in PHASES for row in _rows(phase, ours[phase], theirs[phase])]


def _dlt(python: Path, server: DurablePostgres, address: str) -> list[Cost]:
    url = server.create()
    script = Path(__file__).parent / "polling" / "dlt_pipeline.py"
    try:
        with TemporaryDirectory() as folder:
            dsn = url.replace("+psycopg", "").replace(
                "postgres@", "postgres:any@"
            )  # it wants a password, our server none
            words = [folder, dsn, address, str(len(PHASES))]
            done = subprocess.run(
                [python, script, *words], cwd=folder, env={**os.environ, **_QUIET}, stdout=subprocess.PIPE, check=True
            )
    finally:
        server.drop(url)
    return [Cost(server=0.0, told=0, **json.loads(line)) for line in done.stdout.splitlines() if line[:1] == b"{"]


def _rows(phase: str, ours: list[Cost], theirs: list[Cost]) -> list[Row]:
    wall, its_wall = (median(each.wall for each in of) for of in (ours, theirs))
    used, its_used = (median(each.client for each in of) for of in (ours, theirs))
    most, its_most = (median(each.peak_mb for each in of) for of in (ours, theirs))
    times = _TIMES_FASTER[phase]
    faster, share, memory = its_wall / wall, used / its_used, most / its_most
    bar = "faster" if times == 1 else f"at least {times:.0f}× faster"
    less, half = f"at most {_OF_ITS_PROCESSOR} of it", f"at most {_OF_ITS_MEMORY} of it"
    return [
        Row("dlt", f"{phase}, wall", wall, its_wall, "s", faster, bar, faster >= times, "with the deliveries"),
        Row("dlt", f"{phase}, client", used, its_used, "processor s", share, less, share <= _OF_ITS_PROCESSOR),
        Row("dlt", f"{phase}, memory", most, its_most, "MB", memory, half, memory <= _OF_ITS_MEMORY),
    ]


if __name__ == "__main__":
    how = asked(__doc__, PHASES)
    print(f"{sys.executable} beside {environment()}")
    tell(measure(how))
