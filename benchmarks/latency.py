"""From the commit of a notification to its receiver's first byte: one process, and many around Redis and PostgreSQL.

    .venv/bin/python -m benchmarks.latency [--seconds 20]

Ten sources polled every second bring one notification each (10 a second), and fifty bring ten each (500 a second). The
wait is counted from the instant of the message, which is taken at the beginning of the transaction that stores it: so
the storing and the commit are in it, but no wait for a turn to write. The floor: a bare POST to the same receiver,
from before it is sent to its first byte.
"""

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from threading import Event

import requests
from cryptography.fernet import Fernet
from sqlmodel import col, select

from benchmarks.row import Row, tell
from benchmarks.stage import Durable
from benchmarks.steady import Steady
from tests.servers import LOOPBACK, Redis, free_port, wait_until
from worker.sandbox.configuration import written
from worker.store import schema
from worker.store.session import Database
from worker.store.tables import Message

P50_MS, P99_MS = 25.0, 150.0
_TO_SETTLE_S, _BARE = 5.0, 500
_ROOT = Path(__file__).parents[1]
_CLI = (sys.executable, "-m", "worker.cli")


@dataclass(frozen=True)
class Load:
    """So many sources, each with so many new rows a second."""

    sources: int
    rate: int


LOADS = (Load(10, 1), Load(50, 10))


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


def waits_ms(
    load: Load, seconds: float, commands: Sequence[str], url: str, broker: str
) -> tuple[list[float], list[float]]:
    """Of all that was made while it ran, once it had settled; and of bare POSTs before it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        receiver, stamps = stack.enter_context(stamping(folder))
        floor = bare_ms(receiver, stamps)
        provider = Steady(load.rate)
        address = stack.enter_context(provider.serving())
        database = stack.enter_context(closing(Database(url or f"sqlite:///{folder}/tocsin.db")))
        schema.migrate(database)
        environ = _configured(
            folder, load, address, receiver, {"database": url or f"sqlite:///{folder}/tocsin.db", "broker": broker}
        )
        running = [
            subprocess.Popen([*_CLI, name], env=environ, cwd=_ROOT, stderr=subprocess.DEVNULL) for name in commands
        ]
        try:
            wait_until(lambda: len(_came(stamps)) > _BARE + load.sources)
            Event().wait(_TO_SETTLE_S)
            began = time.time()
            Event().wait(seconds)
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait()
        with database.reading() as session:
            made = session.exec(
                select(Message.id, Message.created_at).where(col(Message.created_at) >= _at(began))
            ).all()
        came = _came(stamps)
    return [1000 * (came[identity] - at.timestamp()) for identity, at in made if identity in came], floor


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()


def _came(stamps: Path) -> dict[str, float]:
    lines = stamps.read_text(encoding="ascii").splitlines()
    return {identity: float(at) for identity, _, at in (line.rpartition(" ") for line in lines)}


def _configured(folder: Path, load: Load, address: str, receiver: str, top: dict[str, str]) -> dict[str, str]:
    asked = {"provider": "realtime_register", "api_key": {"env": "KEY"}, "base_url": address}
    often = {"every": "1s", "overlap": "5s"}
    sources = {f"s{n}": {**asked, **often, "customer": f"acme{n}"} for n in range(load.sources)}
    endpoint = {"url": receiver, "allow_networks": ["127.0.0.0/8"], "max_in_flight": 50}
    file = folder / "tocsin.toml"
    head = {**top, "key": {"env": "SEAL"}}
    file.write_text(written(head, {"sources": sources, "endpoints": {"erp": endpoint}}), encoding="utf-8")
    own = {"KEY": "a-secret", "SEAL": Fernet.generate_key().decode(), "TOCSIN_CONFIG": str(file)}
    return {**os.environ, **own, "TOCSIN_LOG_LEVEL": "error"}


def measure(seconds: float = 20) -> list[Row]:
    """Embedded, then distributed; each at both rates."""
    found = []
    for load in LOADS:
        found += _rows("embedded", load, *waits_ms(load, seconds, ("run",), "", "memory://"))
    with Durable() as server, Redis() as redis:
        for load in LOADS:
            waits = waits_ms(load, seconds, ("worker", "beat"), server.create(), redis.url)
            found += _rows("distributed", load, *waits)
    return found


def _rows(how: str, load: Load, waits: list[float], floor: list[float]) -> Iterator[Row]:
    ours, bare = quantiles(waits, n=100), quantiles(floor, n=100)
    for name, place, within in (("p50", 49, P50_MS), ("p99", 98, P99_MS)):
        more, case = ours[place] - bare[place], f"{how}, {load.sources * load.rate} a second, {name}"
        yield Row("latency", case, ours[place], bare[place], "ms", ours[place] / bare[place],
                  f"within {within:g} ms of it", more <= within, f"{len(waits):,} messages")  # fmt: skip


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    tell(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
