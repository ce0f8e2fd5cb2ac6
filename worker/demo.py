"""`tocsin demo`: the sandbox publishes, a real `tocsin run` polls and delivers, the receiver counts what arrives."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from worker.sandbox.configuration import configuration
from worker.sandbox.receiver import Received
from worker.sandbox.sandbox import PATH, Sandbox, paced

_HAPPENINGS_PER_SECOND = 8
_EVERY = "1s"
_REFRESH_S = 0.25
_TO_ARRIVE = timedelta(seconds=3)
_GIVEN_UP_AFTER = timedelta(seconds=15)
_LATEST = 8
_WIDE = 120


@dataclass(frozen=True, slots=True)
class Arrival:
    """One revision at the receiver, and how long after it came about at the provider."""

    source: str
    type: str
    title: str
    status: str
    latency: timedelta


def demo(seconds: float | None) -> int:
    """Run until interrupted, or for so many seconds; the exit status: 1 where a promise was broken."""
    with TemporaryDirectory(prefix="tocsin-demo-") as folder, Sandbox() as sandbox, _pipeline(Path(folder), sandbox):
        stop = Event()
        publishing = Thread(target=_publish, args=(sandbox, stop), name="publishing")
        publishing.start()
        try:
            _show(sandbox, None if seconds is None else timedelta(seconds=seconds) - _TO_ARRIVE)
        finally:
            stop.set()
            publishing.join()
        _wait_for_the_rest(sandbox)
        return sum_up(sandbox)


@contextmanager
def _pipeline(folder: Path, sandbox: Sandbox) -> Iterator[None]:
    """`tocsin run` in a process of its own, on a temporary database, ended as a supervisor would."""
    file = folder / "tocsin.toml"
    file.write_text(configuration(sandbox, _EVERY), encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    environ |= {"TOCSIN_CONFIG": str(file), "TOCSIN_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "worker.cli", "run"]
    with (folder / "stderr").open("w+b") as said:
        process = subprocess.Popen(  # noqa: S603  # ourselves, in a session of its own: Ctrl-C is for the demo alone
            command, env=environ, stderr=said, start_new_session=True
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            if process.wait():
                said.seek(0)
                sys.stderr.write(said.read().decode(errors="replace"))


def _publish(sandbox: Sandbox, stop: Event) -> None:
    for _ in paced(sandbox.traffic(), _HAPPENINGS_PER_SECOND, stop):
        pass


def _show(sandbox: Sandbox, duration: timedelta | None) -> None:
    """Redraw until the time is over, or Ctrl-C."""
    ends_at = None if duration is None else sandbox.clock() + duration
    console = _console()
    console.print("Three sandbox providers, one receiver, and `tocsin run` between them. Ctrl-C ends it.\n")
    try:
        with Live(console=console, refresh_per_second=4, transient=not console.is_terminal) as live:
            while ends_at is None or sandbox.clock() < ends_at:
                live.update(_picture(sandbox))
                time.sleep(_REFRESH_S)
    except KeyboardInterrupt:
        console.print("ending …")


def _wait_for_the_rest(sandbox: Sandbox) -> None:
    deadline = sandbox.clock() + _GIVEN_UP_AFTER
    while sandbox.broken_promises() and sandbox.clock() < deadline:
        time.sleep(_REFRESH_S)


def sum_up(sandbox: Sandbox) -> int:
    """Print what was published and what arrived; the exit status: 1 where a promise was broken."""
    console, tally, broken = _console(), sandbox.tally(), sandbox.broken_promises()
    console.print(_picture(sandbox))
    console.print(
        f"\npublished {tally.rows} notifications in {tally.states} states; "
        f"arrived: {tally.notifications} notifications in {tally.revisions} revisions, "
        f"{tally.duplicates} duplicates, {tally.attempts} requests"
    )
    for line in broken:
        console.print(f"broken: {line}", markup=False)
    console.print("everything arrived exactly as promised" if not broken else f"broken promises: {len(broken)}")
    return 1 if broken else 0


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def _picture(sandbox: Sandbox) -> Group:
    arrivals = list(_arrivals(sandbox))
    return Group(_totals(sandbox, arrivals), "", _latest(arrivals[-_LATEST:]))


def _totals(sandbox: Sandbox, arrivals: list[Arrival]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("source", "published", "changed", "found", "changes", "delivered", "latency p50", "latency max"):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for source, rows in sandbox.published().items():
        mine = [arrival for arrival in arrivals if arrival.source == source]
        found = sum(1 for arrival in mine if arrival.type == "notification.created")
        waits = [arrival.latency.total_seconds() for arrival in mine]
        table.add_row(
            source,
            str(len(rows)),
            str(sum(len(row.states) - 1 for row in rows)),
            str(found),
            str(len(mine) - found),
            str(len(mine)),
            f"{median(waits):.2f} s" if waits else "–",
            f"{max(waits):.2f} s" if waits else "–",
        )
    return table


def _latest(arrivals: list[Arrival]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("latest", "type", "title", "status", "latency"):
        table.add_column(heading, no_wrap=True)
    for arrival in arrivals:
        seconds = f"{arrival.latency.total_seconds():.2f} s"
        table.add_row(arrival.source, arrival.type, arrival.title, arrival.status, seconds)
    return table


def _arrivals(sandbox: Sandbox) -> Iterator[Arrival]:
    """What the receiver took, each message once, in the order of arrival."""
    since = {
        (source, row.external_id, json.dumps(state.raw, sort_keys=True)): max(state.since, row.visible_at)
        for source, rows in sandbox.published().items()
        for row in rows
        for state in row.states
    }
    seen: set[str] = set()
    for one in sandbox.receiver.received(PATH):
        if one.accepted and one.verified and one.webhook_id not in seen:
            seen.add(one.webhook_id)
            yield _arrival(one, since)


def _arrival(one: Received, since: dict[tuple[str, str, str], datetime]) -> Arrival:
    content: dict[str, Any] = one.content
    told = content["data"]
    state = (told["source"], told["external_id"], json.dumps(told["raw"], sort_keys=True))
    latency = one.arrived_at - since.get(state, one.arrived_at)
    return Arrival(told["source"], content["type"], told["title"] or "", told["status"], latency)
