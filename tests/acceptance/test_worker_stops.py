"""`tocsin worker` ends when it is told to: it finishes what is open, begins nothing new, and says 0."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from tests.acceptance.load import OFTEN, PREFORK, ROUNDS, THREADS, sender
from tests.acceptance.processes import COMMAND, Tocsin
from tests.servers import Redis, wait_until
from worker.broker.settings import POLL
from worker.sandbox import PATH, Answer

_ROWS, _SOME = 300, 30
_POOLS = {"prefork": PREFORK, "threads": THREADS} if ROUNDS >= OFTEN else {"prefork": PREFORK}
_IN_TIME_S = 12.0
"""Far less than the sweep would take: 300 answers, a few at a time, half a second each."""
_TIMEOUT_S, _TO_RECORD_S = 2, 3
_TO_END_S = 5.0
"""What two busy cores need to end a process."""


@pytest.fixture
def spread(tocsin: Tocsin, redis_server: Redis, database_url: str) -> Tocsin:
    endpoints = {"sandbox": {**tocsin.sandbox.endpoints()["sandbox"], "max_in_flight": 4}}
    sources = {name: {**source, "every": "1s"} for name, source in tocsin.sandbox.sources().items()}
    tocsin.write({}, {"sources": sources, "endpoints": endpoints})
    tocsin.spread(redis_server, database_url)
    return tocsin


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("pool", _POOLS.values(), ids=_POOLS)
def test_with_much_to_deliver_it_ends_soon_and_what_was_open_is_not_sent_again(
    spread: Tocsin, pool: tuple[str, ...]
) -> None:
    sandbox = spread.sandbox
    sandbox.receiver.script(PATH, then=Answer(204, after=timedelta(milliseconds=500)))
    sandbox.publish(_ROWS)
    with spread.start(*COMMAND, "beat"), spread.start(*COMMAND, "worker", "--", *pool) as worker:
        worker.until(lambda: len(sandbox.receiver.received(PATH)) > _SOME, "it delivers", 60.0)
        assert 0 == worker.stopped(within_s=_IN_TIME_S)

    told = sandbox.receiver.received(PATH)
    delivered = spread.ask("deliveries", "list", "--status", "delivered", "--limit", "0")
    assert {row["message_id"] for row in delivered} == {one.webhook_id for one in told}
    assert _SOME < len(told) == len(delivered) < _ROWS


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def lives(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != "Z"


@pytest.fixture
def impatient(spread: Tocsin) -> Tocsin:
    """Gives receivers two seconds."""
    endpoints = {"sandbox": {**spread.sandbox.endpoints()["sandbox"], "timeout": f"{_TIMEOUT_S}s"}}
    sources = {name: {**source, "every": "1s"} for name, source in spread.sandbox.sources().items()}
    spread.write({}, {"sources": sources, "endpoints": endpoints})
    return spread


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("pool", [PREFORK, THREADS], ids=["prefork", "threads"])
def test_whatever_hangs_it_ends_soon_after_what_it_gives_receivers(
    impatient: Tocsin, pool: tuple[str, ...], redis_server: Redis
) -> None:
    hanging = impatient.sandbox.realtime_register
    hanging.faults.slow(timedelta(seconds=60))
    with closing(sender(redis_server)) as tasks, tasks.connection_for_write() as connection:
        tasks.send_task("poll.source", args=[hanging.slug], queue=POLL, connection=connection)
    with impatient.start(*COMMAND, "worker", "--", *pool) as worker:
        worker.until(lambda: bool(hanging.requests), "a poll waits for its provider", 60.0)
        children, begun_at = children_of(worker.pid), monotonic()
        assert 0 == worker.stopped(within_s=60.0)
        assert monotonic() - begun_at < _TIMEOUT_S + _TO_RECORD_S + _TO_END_S
        assert 1 == worker.stderr.count("worker.gave_up")
        wait_until(lambda: not any(lives(child) for child in children))
