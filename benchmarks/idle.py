"""What an idle `tocsin run` costs: processor share of one core and resident memory, over a minute.

    .venv/bin/python -m benchmarks.idle [SECONDS]

Ten sources on `every = "5m"`, of providers that have nothing new.
"""

import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from benchmarks.row import Row, tell
from tests.words import positive
from worker.sandbox.configuration import written
from worker.sandbox.sandbox import Sandbox

SHARE, MEMORY_MB = 0.005, 120
_SOURCES = 10
_STARTED_S, _TO_SETTLE_S = 4, 60
"""It has settled after so many seconds in a row in which it did next to nothing; for so long it is waited for."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def measure(seconds: float = 60) -> list[Row]:
    """Its processor's share, and its memory."""
    share, resident = idled(seconds)
    case = f"{_SOURCES} sources every 5m, {seconds:.0f} s"
    return [
        Row("idle", f"processor, {case}", 100 * share, None, "% of a core", 1, f"< {100 * SHARE:g} %", share < SHARE),
        Row("idle", f"memory, {case}", resident, None, "MB", 1, f"< {MEMORY_MB} MB", resident < MEMORY_MB),
    ]


def idled(seconds: float) -> tuple[float, float]:
    """The share of a core that it used, and the MB that it held."""
    with TemporaryDirectory() as folder, Sandbox() as sandbox:
        offered = list(sandbox.sources().values())
        sources = {f"s{n}": {**offered[n % len(offered)], "every": "5m"} for n in range(_SOURCES)}
        file = Path(folder) / "tocsin.toml"
        tables = {"sources": sources, "endpoints": sandbox.endpoints()}
        file.write_text(written({"database": "sqlite:///tocsin.db"}, tables), encoding="utf-8")
        environ = {**os.environ, "TOCSIN_CONFIG": str(file), "TOCSIN_LOG_LEVEL": "error"}
        command = [sys.executable, "-m", "worker.cli", "run"]
        process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        try:
            _settled(process.pid)
            before = processor_s(process.pid)
            Event().wait(seconds)
            return (processor_s(process.pid) - before) / seconds, resident_mb(process.pid)
        finally:
            process.terminate()
            process.wait()


def _settled(pid: int) -> None:
    """Until it has started, and has polled each source once: on a busy machine that takes a while."""
    calm, before = 0, 0.0
    for _ in range(_TO_SETTLE_S):
        Event().wait(1)
        used, before = processor_s(pid) - before, processor_s(pid)
        calm = calm + 1 if used <= 2 / _TICKS_PER_SECOND else 0
        if calm == _STARTED_S:
            return


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seconds", type=positive, nargs="?", default=60)
    tell(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
