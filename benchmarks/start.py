"""How long a start takes: `tocsin --help` over a bare Python, and `tocsin run` to its first request to a provider.

    .venv/bin/python -m benchmarks.start [--rounds 9]

Medians; help in processor time, each in turn with `python -c pass`. The database is new, as on the first day.
"""

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.row import Row, tell
from benchmarks.steady import Steady
from tests.servers import wait_until
from tests.words import positive
from worker.sandbox.configuration import written

HELP_AT_MOST, FIRST_POLL_WITHIN_S = 5.0, 1.5
_COMMAND = (sys.executable, "-m", "worker.cli")
_ROOT = Path(__file__).parents[1]


def first_poll_s() -> float:
    """Seconds from the start of `tocsin run` until its provider is asked."""
    provider = Steady(1)
    with TemporaryDirectory() as folder, provider.serving() as address:
        file = Path(folder) / "tocsin.toml"
        source = {"provider": "realtime_register", "customer": "acme", "api_key": {"env": "KEY"}, "base_url": address}
        endpoint = {"url": "https://receiver.invalid/hook"}
        tables = {"sources": {"registrar": source}, "endpoints": {"erp": endpoint}}
        file.write_text(written({"database": f"sqlite:///{folder}/tocsin.db"}, tables), encoding="utf-8")
        environ = {**os.environ, "KEY": "key", "TOCSIN_CONFIG": str(file), "TOCSIN_LOG_LEVEL": "error"}
        began = time.monotonic()
        with subprocess.Popen([*_COMMAND, "run"], env=environ, cwd=_ROOT, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: bool(provider.asked))
            finally:
                process.terminate()
    return provider.asked[0] - began


def used_s(command: Sequence[str]) -> float:
    """Processor seconds of it."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=_ROOT)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def helped(rounds: int = 9) -> list[Row]:
    """`tocsin --help`, in processor time: of it, waiting is no part. The first one, which compiles, isn't counted."""
    turns = [(used_s([*_COMMAND, "--help"]), used_s([sys.executable, "-c", "pass"])) for _ in range(rounds + 1)][1:]
    help_s, floor_s = (median(column) for column in zip(*turns, strict=True))
    ratio = help_s / floor_s
    return [Row("start", "tocsin --help", 1000 * help_s, 1000 * floor_s, "processor ms", ratio,
                f"< {HELP_AT_MOST:g}×", ratio < HELP_AT_MOST)]  # fmt: skip


def measure(rounds: int = 9) -> list[Row]:
    """`tocsin --help`, then the first poll."""
    polls = [first_poll_s() for _ in range(rounds)]
    poll_s = median(polls)
    row = Row("start", "tocsin run to its first poll", poll_s, None, "s", 1, f"within {FIRST_POLL_WITHIN_S:g} s",
              poll_s <= FIRST_POLL_WITHIN_S, aside=f"the quickest {min(polls):.2f} s")  # fmt: skip
    return [*helped(rounds), row]


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=9)
    tell(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
