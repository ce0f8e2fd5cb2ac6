"""From the commit of a notification to its receiver's first byte: one process, and many around Redis and PostgreSQL.

    .venv/bin/python -m benchmarks.latency [--seconds 20] [--how embedded|distributed|mixed] [--rate 10|500]

Ten sources polled every second bring one notification each (10 a second), or fifty each (500 a second): more sources
would measure polls, each of which is 20 ms of a processor whatever it brings. The wait is counted from the commit:
PostgreSQL remembers when each was, and for SQLite `tocsin run` writes it down. What has not come some seconds after
the end never comes: its wait is infinite. The floor: a bare POST to the same receiver, from before it is sent to its
first byte. Distributed is as docs/scale.md has it, polls and sweeps in processes of their own; "mixed" is one worker
that does both.
"""

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from math import ceil, inf, isinf
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import psutil  # type: ignore[import-untyped]
import requests
from cryptography.fernet import Fernet

from benchmarks.committing import Dated, committed
from benchmarks.row import Row, tell
from benchmarks.steady import Steady
from tests.servers import LOOPBACK, Redis, free_port, wait_until
from tests.words import positive
from worker.sandbox.configuration import written
from worker.store import schema
from worker.store.session import Database

_WITHIN_MS = (25.0, 150.0)
_TO_SETTLE_S, _TO_COMMIT_S, _TO_COME_S, _BARE = 5.0, 3.0, 15.0, 500
_ENOUGH = 0.5
"""Of the messages that there should be: with fewer it is no latency that was measured."""
_ROOT = Path(__file__).parents[1]
_CLI = (sys.executable, "-m", "benchmarks.committing")

HOW: Mapping[str, Sequence[Sequence[str]]] = {
    "embedded": (("run",),),
    "distributed": (
        ("worker", "--", "--queues=poll", "--concurrency=2"),
        ("worker", "--", "--queues=deliver", "--concurrency=2"),
        ("beat",),
    ),
    "mixed": (("worker", "--", "--concurrency=4"), ("beat",)),
}


@dataclass(frozen=True)
class Load:
    """So many sources, each with so many new rows a second."""

    sources: int
    rate: int

    @property
    def a_second(self) -> int:
        """Of all sources together."""
        return self.sources * self.rate


LOADS = (Load(10, 1), Load(10, 50))


@dataclass(frozen=True)
class Waited:
    """What was measured: milliseconds, of ours (infinite: it never came) and of bare POSTs.

    `cores`: how much of the machine it took us.
    """

    ours: list[float]
    bare: list[float]
    cores: float


@dataclass(frozen=True)
class Stage:
    """What there is beside us: a database and a broker."""

    database: str
    broker: str


@contextmanager
def stamping(folder: Path) -> Iterator[tuple[str, Path]]:
    """A receiver's address, and where it writes when what came."""
    port, stamps = free_port(), folder / "stamps"
    program = str(Path(__file__).with_name("receiver.py"))
    with subprocess.Popen([sys.executable, program, str(port), "0", str(stamps)]) as process:
        try:
            url = f"http://{LOOPBACK}:{port}/"
            wait_until(lambda: _answers(url))
            yield url, stamps
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.post(url, b"{}", headers={"webhook-id": "hello"}, timeout=5).ok
    except requests.ConnectionError:
        return False


def bare_ms(url: str, stamps: Path) -> list[float]:
    """What a POST takes until its first byte is there."""
    sent = {}
    with requests.Session() as session:
        for number in range(_BARE):
            sent[f"bare{number}"] = time.time()
            session.post(url, b"x" * 1024, headers={"webhook-id": f"bare{number}"}, timeout=5)
    came = _came(stamps)
    return [1000 * (came[identity] - at) for identity, at in sent.items()]


def waits(load: Load, seconds: float, commands: Sequence[Sequence[str]], stage: Stage | None = None) -> Waited:
    """Of all that was made in that time, once it had settled; and of bare POSTs before it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        receiver, stamps = stack.enter_context(stamping(folder))
        floor = bare_ms(receiver, stamps)
        address = stack.enter_context(Steady(load.rate).serving())
        beside = stage or Stage(f"sqlite:///{folder}/tocsin.db", "memory://")
        database = stack.enter_context(closing(Database(beside.database)))
        schema.migrate(database)
        environ = _configured(folder, load, address, receiver, beside)
        with _running(commands, environ, folder) as running:
            with suppress(TimeoutError):
                wait_until(lambda: len(_came(stamps)) > _BARE + load.sources)
            Event().wait(_TO_SETTLE_S)
            began, used = time.time(), _used_s(running)
            Event().wait(seconds)
            ended, cores = time.time(), (_used_s(running) - used) / seconds
            Event().wait(_TO_COMMIT_S)
            made = committed(database, began, ended, folder / "commits")
            with suppress(TimeoutError):
                wait_until(lambda: made.keys() <= _came(stamps).keys(), _TO_COME_S)
        came = _came(stamps)
    return Waited([1000 * (came.get(identity, inf) - at) for identity, at in made.items()], floor, cores)


@contextmanager
def _running(
    commands: Sequence[Sequence[str]], environ: Mapping[str, str], folder: Path
) -> Iterator[list[psutil.Process]]:
    quiet = subprocess.DEVNULL
    running = [
        subprocess.Popen([*_CLI, f"{folder}/commits", *words], env=environ, cwd=_ROOT, stdout=quiet, stderr=quiet)
        for words in commands
    ]
    try:
        yield [psutil.Process(process.pid) for process in running]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait()


def _used_s(running: Sequence[psutil.Process]) -> float:
    every = [each for one in running for each in (one, *one.children(recursive=True))]
    return sum(sum(each.cpu_times()[:2]) for each in every)


def _came(stamps: Path) -> dict[str, float]:
    lines = stamps.read_text(encoding="ascii").splitlines()
    return {identity: float(at) for identity, _, at in (line.rpartition(" ") for line in lines)}


def _configured(folder: Path, load: Load, address: str, receiver: str, beside: Stage) -> dict[str, str]:
    asked = {"provider": "realtime_register", "api_key": {"env": "KEY"}, "base_url": address}
    often = {"every": "1s", "overlap": "5s"}
    sources = {f"s{n}": {**asked, **often, "customer": f"acme{n}"} for n in range(load.sources)}
    endpoint = {"url": receiver, "allow_networks": ["127.0.0.0/8"], "max_in_flight": 200}
    file = folder / "tocsin.toml"
    head = {"database": beside.database, "broker": beside.broker, "key": {"env": "SEAL"}}
    file.write_text(written(head, {"sources": sources, "endpoints": {"erp": endpoint}}), encoding="utf-8")
    own = {"KEY": "a-secret", "SEAL": Fernet.generate_key().decode(), "TOCSIN_CONFIG": str(file)}
    return {**os.environ, **own, "TOCSIN_LOG_LEVEL": "error"}


def measure(
    seconds: float = 20, how: Sequence[str] = ("embedded", "distributed"), rates: Sequence[int] = ()
) -> list[Row]:
    """Embedded, then distributed; each at both rates."""
    found: list[Row] = []
    loads = [load for load in LOADS if not rates or load.a_second in rates]
    for name in how:
        for load in loads:
            found += rows(name, load, seconds, _measured(name, load, seconds))
    return found


def _measured(how: str, load: Load, seconds: float) -> Waited:
    if how == "embedded":
        return waits(load, seconds, HOW[how])
    with Dated() as server, Redis() as redis:
        return waits(load, seconds, HOW[how], Stage(server.create(), redis.url))


def rows(how: str, load: Load, seconds: float, waited: Waited) -> Iterator[Row]:
    """Median and 99th percentile."""
    expected, beside = load.a_second * seconds, f"{len(waited.ours):,} messages, {waited.cores:.2f} cores of ours"
    enough, lost = len(waited.ours) >= _ENOUGH * expected, sum(map(isinf, waited.ours))
    if not enough:
        beside = f"of {expected:,.0f} messages only {beside}"
    if lost:
        beside = f"{beside}; {lost:,} of them never came"
    each = zip(("p50", "p99"), _WITHIN_MS, percentiles(waited.ours), percentiles(waited.bare), strict=True)
    for name, within, ours, bare in each:
        yield Row("latency", f"{how}, {load.a_second} a second, {name}", ours, bare, "ms", ours / bare,
                  f"within {within:g} ms of it", enough and ours - bare <= within, beside)  # fmt: skip


def percentiles(waits_ms: Sequence[float]) -> tuple[float, float]:
    """The waits that half, and 99 of a hundred, did not exceed; of none they are infinite."""
    ordered = sorted(waits_ms) or [inf]
    half, most = (ordered[ceil(len(ordered) * part) - 1] for part in (0.5, 0.99))
    return half, most


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=positive, default=20)
    parser.add_argument("--how", action="append", choices=HOW)
    parser.add_argument("--rate", action="append", type=int, choices=[load.a_second for load in LOADS])
    asked = parser.parse_args()
    tell(measure(asked.seconds, asked.how or ("embedded", "distributed"), asked.rate or ()))


if __name__ == "__main__":
    main()
