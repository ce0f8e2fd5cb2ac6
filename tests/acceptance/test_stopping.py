"""`tocsin run` ends when it is told to, in time, with nothing half done; and it costs little while it waits."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from tests.acceptance.processes import Tocsin
from worker.sandbox import PATH, Answer, Hang

_TIMEOUT_S = 2
_IN_TIME_S = _TIMEOUT_S + 2.5
"""The delivery timeout, a second to record, and what two busy cores need to end a process."""
_WAIT = timedelta(seconds=20)
_WATCHED_S = 10.0
_AT_REST_S = 60.0
_TIMES_THE_FLOOR = 4


@pytest.fixture
def impatient(tocsin: Tocsin) -> Tocsin:
    """Polls seldom, and gives receivers two seconds."""
    sources = {name: {**source, "every": "5m"} for name, source in tocsin.sandbox.sources().items()}
    endpoints = {"sandbox": {**tocsin.sandbox.endpoints()["sandbox"], "timeout": f"{_TIMEOUT_S}s"}}
    tocsin.write({}, {"sources": sources, "endpoints": endpoints})
    return tocsin


def arrives(tocsin: Tocsin, count: int) -> None:
    assert tocsin.sandbox.receiver.wait_until(lambda received: len(received) >= count, _WAIT)


def rows(tocsin: Tocsin, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(tocsin.folder / "tocsin.db")) as connection:
        return connection.execute(query).fetchall()


def nothing_is_held(tocsin: Tocsin) -> None:
    assert rows(tocsin, "SELECT id FROM delivery WHERE claim_token IS NOT NULL OR claimed_until IS NOT NULL") == []
    assert rows(tocsin, "SELECT name FROM source WHERE lease_token IS NOT NULL OR lease_until IS NOT NULL") == []


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shares_of_a_core(*pids: int) -> list[float]:
    """What each uses of one, watched for the same while. A busy neighbour adds to it; nothing takes from it."""
    begun, begun_at = [processor_seconds(pid) for pid in pids], monotonic()
    Event().wait(_WATCHED_S)
    passed = monotonic() - begun_at
    return [(processor_seconds(pid) - before) / passed for pid, before in zip(pids, begun, strict=True)]


@pytest.fixture
def waking() -> Iterator[int]:
    """The floor: a process that does nothing but wake up a hundred times a second. Its process id."""
    process = subprocess.Popen([sys.executable, Path(__file__).with_name("wakes.py")])
    yield process.pid
    process.kill()
    process.wait()


def uses_next_to_nothing(pid: int, floor: int) -> bool:
    """Under a hundredth of a core; or, on machines where waking up costs much, few times what waking up costs."""
    share, least = shares_of_a_core(pid, floor)
    return share < max(0.01, _TIMES_THE_FLOOR * least)


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_with_nothing_to_do_it_ends_with_exit_0(impatient: Tocsin, how: signal.Signals) -> None:
    impatient.sandbox.publish(3)
    with impatient.run() as run:
        arrives(impatient, 3)
        assert run.stopped(how, _IN_TIME_S) == 0
        assert '"run.stopped"' in run.stderr

    assert impatient.sandbox.broken_promises() == []
    nothing_is_held(impatient)


def test_while_a_receiver_hangs_it_ends_within_the_delivery_timeout(impatient: Tocsin) -> None:
    impatient.sandbox.receiver.script(PATH, then=Hang())
    impatient.sandbox.publish(1)
    with impatient.run() as run:
        arrives(impatient, 1)
        assert run.stopped(within_s=_IN_TIME_S) == 0

    (delivery,) = impatient.ask("deliveries", "list")
    assert (delivery["status"], delivery["attempts"], delivery["last_outcome"]) == ("pending", 1, "timeout")
    nothing_is_held(impatient)


def test_while_a_provider_hangs_it_ends_within_the_delivery_timeout(impatient: Tocsin) -> None:
    registrar = impatient.sandbox.realtime_register
    registrar.faults.next(Hang(), times=10)
    impatient.sandbox.publish(2, registrar.slug)
    with impatient.run() as run:
        run.until(lambda: bool(registrar.requests), "the provider is asked")
        assert run.stopped(within_s=_IN_TIME_S) == 0
    nothing_is_held(impatient)

    registrar.faults.clear()
    with impatient.run() as run:
        arrives(impatient, 2)
        assert run.stopped() == 0
    assert impatient.sandbox.broken_promises() == []


def test_with_work_open_it_finishes_what_is_begun_and_begins_nothing_new(impatient: Tocsin) -> None:
    receiver = impatient.sandbox.receiver
    receiver.script(PATH, then=Answer(204, after=timedelta(milliseconds=400)))
    impatient.sandbox.publish(60, impatient.sandbox.bookkeep.slug)
    with impatient.run() as run:
        arrives(impatient, 15)
        run.send(signal.SIGTERM)
        assert run.stopped(signal.SIGINT, _IN_TIME_S) == 0  # told twice, as impatient people do

    delivered = rows(impatient, "SELECT message_id FROM delivery WHERE status = 'delivered'")
    assert {row[0] for row in delivered} == {one.webhook_id for one in receiver.received(PATH)}
    assert len(delivered) < 60
    nothing_is_held(impatient)

    receiver.script(PATH, then=Answer(204))
    with impatient.run() as run:
        arrives(impatient, 60)
        assert run.stopped() == 0
    assert impatient.sandbox.broken_promises() == []
    assert impatient.sandbox.tally().duplicates == 0


@pytest.mark.alone
def test_waiting_it_uses_next_to_no_processor_and_less_than_150_megabytes(impatient: Tocsin, waking: int) -> None:
    impatient.sandbox.publish(9)
    with impatient.run() as run:
        arrives(impatient, 9)
        run.until(lambda: uses_next_to_nothing(run.pid, waking), "it comes to rest", _AT_REST_S)
        megabytes = resident_megabytes(run.pid)
        assert run.stopped() == 0

    assert megabytes < 150


def test_when_beat_dies_it_ends_with_exit_1(impatient: Tocsin) -> None:
    with impatient.script("beat_dies.py") as run:
        assert run.ended() == 1
        assert "run.beat_died" in run.stderr
        assert "run.stopped" in run.stderr
    nothing_is_held(impatient)
