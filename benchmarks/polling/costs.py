"""What work costs: processor seconds of this process and of its database's, the wall clock, memory at most."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the wall, of the client's processor, of the server's; MB of the client at most; rows told of."""

    wall: float
    client: float
    server: float
    peak_mb: float
    told: int

    @property
    def processor(self) -> float:
        """Seconds of all processors."""
        return self.client + self.server


def cost(what: Callable[[], int], postmaster: int | None) -> Cost:
    """What it takes to do that; `postmaster` None: the database is in this process."""
    before = time.perf_counter(), time.process_time(), _server_s(postmaster)
    told = what()
    after = time.perf_counter(), time.process_time(), _server_s(postmaster)
    wall, client, server = (late - early for late, early in zip(after, before, strict=True))
    return Cost(wall, client, server, peak_mb(), told)


def peak_mb(pid: str | int = "self") -> float:
    """The most resident memory that a process ever had. Not getrusage's: that begins with what its parent had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _server_s(postmaster: int | None) -> float:
    """Of all processes of the server, those that have ended too."""
    if postmaster is None:
        return 0.0
    first = psutil.Process(postmaster)
    ended = first.cpu_times()
    seconds = _ran_s(first) + ended.children_user + ended.children_system
    for each in first.children():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            seconds += _ran_s(each)
    return float(seconds)


def _ran_s(process: psutil.Process) -> float:
    """Of a process with one thread; to the nanosecond where the kernel tells, else to a hundredth of a second.

    A server has half a dozen processes, and a page of repetitions takes it a few milliseconds.
    """
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except OSError:
        times = process.cpu_times()
        return float(times.user + times.system)
