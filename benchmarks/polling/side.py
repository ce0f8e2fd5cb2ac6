"""One of the two that are compared, in a process of its own: Tocsin's poll as it is wired, or the hand-written loop.

    python -m benchmarks.polling.side tocsin|floor FOLDER URL ADDRESS POSTMASTER PHASE...

Prints a line of JSON for each phase: what it cost. `unchanged*8` is one phase: that eight times.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import psycopg

from benchmarks.polling.costs import cost
from benchmarks.polling.feed import AT, WARM, switch

PHASES = {"warm": WARM, "new": "new", "unchanged": "new", "changed": "changed"}
"""Phase → the state of the provider; `new` finds nothing of it stored."""


def _tocsin(folder: Path, _url: str, _address: str) -> tuple[Callable[[], int], Callable[[], None]]:
    from benchmarks.polling.house import ENVIRON  # noqa: PLC0415  # the other side is to carry none of it
    from worker import logs, wiring  # noqa: PLC0415
    from worker.staying import spare_what_stays  # noqa: PLC0415
    from worker.wiring import House  # noqa: PLC0415

    logs.configure(sys.stderr, json=True, level="warning")
    home = House(wiring.read_settings(folder / "tocsin.toml", ENVIRON), lambda: AT)
    with home.database.reading() as session:
        session.connection()  # the other side is connected, too, before it is measured
    spare_what_stays()  # as whoever polls does before

    def poll() -> int:
        summary = home.poll("feed", only_due=False)
        if summary is None or not summary.complete or summary.rejected:
            raise RuntimeError(f"the poll did not store all: {summary}")
        return summary.new + summary.changed

    return poll, home.close


def _floor(_folder: Path, url: str, address: str) -> tuple[Callable[[], int], Callable[[], None]]:
    from benchmarks.polling.hand_written import read_all, tables_of  # noqa: PLC0415  # as above

    tables = tables_of(url)
    return (lambda: read_all(address, tables)), tables.close


def _settle(url: str) -> None:
    """As autovacuum leaves it, which comes within a minute or so."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _profiled(what: Callable[[], int]) -> Callable[[], int]:
    """With `PROFILE` set to a file: the profile of the work goes there."""
    import cProfile  # noqa: PLC0415  # only who asks for it
    import pstats  # noqa: PLC0415

    def run() -> int:
        with cProfile.Profile() as profile:
            told = what()
        with Path(os.environ["PROFILE"]).open("a", encoding="utf-8") as file:
            pstats.Stats(profile, stream=file).sort_stats("tottime").print_stats(45)
        return told

    return run


def _repeated(what: Callable[[], int], times: int) -> Callable[[], int]:
    return lambda: sum(what() for _ in range(times))


def main(words: Sequence[str]) -> None:
    """Do the phases, print what each cost."""
    who, folder, url, address, postmaster, *phases = words
    work, close = (_tocsin if who == "tocsin" else _floor)(Path(folder), url, address)
    work = _profiled(work) if os.environ.get("PROFILE") else work
    try:
        for word in phases:
            phase, _, times = word.partition("*")
            switch(address, PHASES[phase])
            _settle(url)
            print(json.dumps(asdict(cost(_repeated(work, int(times or 1)), int(postmaster) or None))), flush=True)
    finally:
        close()


if __name__ == "__main__":
    main(sys.argv[1:])
