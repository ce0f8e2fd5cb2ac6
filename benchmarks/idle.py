"""What an idle `tocsin run` costs: processor share of one core and resident memory, over a minute.

    .venv/bin/python benchmarks/idle.py [SECONDS]

Ten sources on `every = "5m"`, of providers that have nothing new; the floor is a Python process that sleeps.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from worker.sandbox.configuration import written
from worker.sandbox.sandbox import Sandbox

_SOURCES = 10
_TO_SETTLE_S = 8
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    """Measure, print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
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
            Event().wait(_TO_SETTLE_S)
            before = processor_s(process.pid)
            Event().wait(seconds)
            share = (processor_s(process.pid) - before) / seconds
            print(
                f"idle: {share:.2%} of a core, {resident_mb(process.pid):.0f} MB, {_SOURCES} sources, {seconds:.0f} s"
            )
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
