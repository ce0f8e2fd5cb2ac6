"""Redis dies twenty times under load, and every worker works again (CELERY.md, section 1).

Without the guards a worker is soon lost. What they guard against is also brought about directly: here for the one
against messages that nobody will acknowledge, in tests/integration/broker/test_channel.py for the channel's.
"""

from collections.abc import Iterator
from contextlib import suppress
from threading import Event

import pytest
from cryptography.fernet import Fernet

from tests.acceptance.load import MANY, OFTEN, ROUNDS, Busy, Load, both
from tests.acceptance.processes import Tocsin
from tests.proxy import Proxy
from tests.servers import LOOPBACK, Redis

_AGAIN_WITHIN_S = 15.0
_KILLS = 20
_DOWN_S = 3.0 if ROUNDS >= OFTEN else 1.0
_WAS_OPEN = 20
_NOTICED_WITHIN_S = 40.0
"""With the timeouts as they are shipped; the watchdog would end the worker after 60 s."""
_REMOTE_CONTROL_OFF = {"worker_enable_remote_control": False}


@pytest.fixture
def mortal() -> Iterator[Redis]:
    """A Redis of this test's own. What it holds outlives a kill."""
    with Redis() as server:
        yield server


@pytest.fixture
def spread(tocsin: Tocsin, mortal: Redis) -> Tocsin:
    """Tocsin on that Redis; SQLite is good enough for one machine."""
    tocsin.configure("1h")
    tocsin.environ |= {"TOCSIN_BROKER": mortal.url, "TOCSIN_KEY": Fernet.generate_key().decode()}
    return tocsin


@pytest.fixture
def load(mortal: Redis) -> Load:
    return Load(mortal)


def works_again(worker: Busy) -> bool:
    with suppress(AssertionError):
        worker.works(_AGAIN_WITHIN_S)
        return True
    return False


def dies_and_rises(server: Redis, load: Load) -> None:
    server.kill()
    Event().wait(_DOWN_S)
    server.start()
    load.ensure(MANY)


def test_twenty_times_redis_dies_under_load_and_every_worker_works_again_within_fifteen_seconds(
    spread: Tocsin, mortal: Redis, load: Load
) -> None:
    with both(spread, load) as workers:
        for _ in range(_KILLS):
            dies_and_rises(mortal, load)
            for worker in workers:
                worker.works(_AGAIN_WITHIN_S)


def test_messages_that_nobody_will_acknowledge_hold_up_a_worker_for_seconds_only(spread: Tocsin, load: Load) -> None:
    with both(spread, load, look_s=1) as workers:
        for worker in workers:
            worker.is_stuck()
        load.ensure(MANY)
        for worker in workers:
            worker.running.says("broker.stuck")
            worker.works(_AGAIN_WITHIN_S)


def test_a_worker_that_takes_nothing_though_tasks_wait_ends_with_exit_1_and_says_so(spread: Tocsin, load: Load) -> None:
    with both(spread, load, look_s=0.5, hung_s=2, without=["stuck"]) as workers:
        for worker in workers:
            worker.is_stuck()
        load.ensure(MANY)
        for worker in workers:
            assert worker.running.ended() == 1
            assert 1 == worker.running.stderr.count("worker.hung")


def test_connections_that_swallow_everything_are_noticed(spread: Tocsin, mortal: Redis, load: Load) -> None:
    with Proxy(mortal.port) as proxy:
        spread.environ["TOCSIN_BROKER"] = f"redis://{LOOPBACK}:{proxy.port}/0"
        with both(spread, load) as workers:
            assert proxy.swallow() > len(workers)
            load.ensure(MANY)
            for worker in workers:
                worker.works(_NOTICED_WITHIN_S, more_than=_WAS_OPEN)


def test_without_the_guards_a_worker_is_lost(spread: Tocsin, mortal: Redis, load: Load) -> None:
    for _ in range(_KILLS // 2):
        with both(spread, load, without=["channel", "stuck"], settings=_REMOTE_CONTROL_OFF) as workers:
            dies_and_rises(mortal, load)
            if not all(works_again(worker) for worker in workers):
                return
    raise AssertionError("kombu loses no worker any more: the guards may go")
