"""Receivers that take their time: 500 endpoints that answer after 100 ms, 500 requests open, one process.

    .venv/bin/python -m benchmarks.slow [--rows 50000] [--on sqlite|postgresql]

The ceiling is 5,000 a second: 500 / 0.1 s. Tocsin's sweep as it is wired, with claims and records. Beside it, what the
loop of benchmarks/by_hand.py makes of the same machine and receiver without any database: 500 handles on one multi
handle, each used again at once.
"""

import os
import time
from argparse import ArgumentParser
from base64 import b64decode
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import by_hand, owed
from benchmarks.deliver import DATABASES, house
from benchmarks.row import Row, tell
from benchmarks.stage import Durable, receiver
from tests.words import positive
from worker import logs

ENDPOINTS, OPEN, ANSWERED_AFTER_MS = 500, 500, 100
AT_LEAST = 0.9


def measure(rows: int = 50_000, databases: tuple[str, ...] = DATABASES) -> list[Row]:
    """A row for each database."""
    return [_measured(database, rows) for database in databases]


def _measured(database: str, rows: int) -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        nobody = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        logs.configure(nobody, json=True, level="info")
        taking = stack.enter_context(receiver(ANSWERED_AFTER_MS))
        server = stack.enter_context(Durable()) if database == "postgresql" else None
        by_hand_s = _by_hand_s(taking.url, rows)
        template = owed.template(rows, folder, server, ENDPOINTS)
        url = stack.enter_context(template.copied())
        home = stack.enter_context(closing(house(url, taking.url, folder, ENDPOINTS)))
        before = time.perf_counter(), time.process_time(), template.server_s()
        done = home.deliver()
        wall, client, server_s = (
            late - early
            for late, early in zip((time.perf_counter(), time.process_time(), template.server_s()), before, strict=True)
        )
        if done != rows:
            raise RuntimeError(f"{done} of {rows} were delivered")
    ceiling = OPEN / (ANSWERED_AFTER_MS / 1000)
    aside = (
        f"{client / wall:.0%} of a core, the server {server_s / wall:.0%}; by hand {rows / by_hand_s:,.0f}/s without a "
    )
    aside += f"database; to {taking.kind}"
    ratio = done / wall / ceiling
    return Row("slow", database, done / wall, ceiling, "deliveries/s", ratio, f"≥ {AT_LEAST:.0%}", ratio >= AT_LEAST,
               aside)  # fmt: skip


def _by_hand_s(url: str, rows: int) -> float:
    """How long sending alone takes."""
    claimed = [by_hand.Claimed(n, 1 + n % ENDPOINTS, f"msg_{n:032x}", None, b"x" * owed.BODY) for n in range(rows)]
    with closing(by_hand.Curl(url, b64decode(owed.SECRET.removeprefix("whsec_")), OPEN)) as send:
        before = time.perf_counter()
        send(claimed)
        return time.perf_counter() - before


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=positive, default=50_000)
    parser.add_argument("--on", choices=DATABASES)
    said = parser.parse_args()
    tell(measure(said.rows, (said.on,) if said.on else DATABASES))


if __name__ == "__main__":
    main()
