"""Two processes and one source: whoever has the lease works, and whoever lost it writes nothing (DESIGN, rule 3)."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.acceptance.processes import COMMAND, Running, Tocsin
from tests.servers import wait_until

_ROWS, _A_PAGE = 5, 2
_STALLED = "T"


@pytest.fixture
def source(tocsin: Tocsin) -> str:
    """A source with some pages to read."""
    registrar = tocsin.sandbox.realtime_register
    registrar.faults.cap(_A_PAGE)
    tocsin.sandbox.publish(_ROWS, registrar.slug)
    return registrar.slug


@pytest.fixture
def stalled(tocsin: Tocsin, source: str) -> Iterator[Running]:
    """A process that stopped between two pages; two minutes will be gone for it when it goes on."""
    with tocsin.script("stalls.py", source, "2") as process:
        process.until(lambda: state_of(process.pid) == _STALLED, "it stalls")
        yield process


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def everything_in(tocsin: Tocsin) -> list[str]:
    with closing(sqlite3.connect(tocsin.folder / "tocsin.db")) as connection:
        return list(connection.iterdump())


def test_of_two_processes_that_poll_one_source_one_works_and_the_other_finds_the_lease_taken(
    tocsin: Tocsin, source: str
) -> None:
    registrar = tocsin.sandbox.realtime_register
    registrar.faults.cap(None)
    registrar.faults.slow(timedelta(seconds=2))

    with tocsin.start(*COMMAND, "poll", source, "--json") as first:
        wait_until(lambda: bool(registrar.requests))
        code, out, err = tocsin.says("poll", source)
        assert first.ended() == 0
        assert f'"new":{_ROWS}' in first.stdout

    assert (1, "") == (code, out)
    assert err.endswith(f"{source}: another process is polling it\n")


def test_a_process_that_stalls_beyond_its_lease_and_wakes_writes_nothing(tocsin: Tocsin, stalled: Running) -> None:
    before = everything_in(tocsin)

    stalled.send(signal.SIGCONT)

    assert stalled.ended() == 0
    assert "its lease is lost" in stalled.stdout
    assert before == everything_in(tocsin)


def test_a_process_that_wakes_when_another_has_polled_writes_nothing(
    tocsin: Tocsin, stalled: Running, source: str
) -> None:
    with tocsin.script("dies_at.py", "never", source, "2") as other:
        assert other.ended() == 0
    before, sent = everything_in(tocsin), len(tocsin.sandbox.receiver.received())

    stalled.send(signal.SIGCONT)

    assert stalled.ended() == 0
    assert "its lease is lost" in stalled.stdout
    assert before == everything_in(tocsin)
    assert sent == len(tocsin.sandbox.receiver.received()) == _ROWS
