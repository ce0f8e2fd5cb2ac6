"""Two sources of one process: none waits while the other waits for its provider, and they compute one at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.fakes import FakeClock
from tests.integration.schedule.town import house
from tests.servers import wait_until
from tests.threads import stands_in
from worker.computing import OneAtATime
from worker.wiring import House

_LONG_S = 60.0
NOTHING = b'{"data": [], "next": null}'

Serve = Callable[..., Any]
Make = Callable[..., Callable[[Any], None]]
Opened = Callable[..., House]


@pytest.fixture
def opened(tmp_path: Path, database_url: str, clock: FakeClock) -> Iterator[Opened]:
    """A house whose sources are at these servers."""
    houses: list[House] = []

    def make(**scripts: Any) -> House:
        sources = {name: {"base_url": script.url, "every": "5m"} for name, script in scripts.items()}
        houses.append(house(tmp_path, database_url, sources, clock))
        houses[0].turns = OneAtATime(_LONG_S)
        houses[0].move_in()
        return houses[0]

    yield make
    houses[0].close()


def poll(home: House, name: str) -> Thread:
    thread = Thread(target=home.poll, args=(name,), kwargs={"only_due": False})
    thread.start()
    return thread


def test_while_one_waits_for_its_provider_another_is_polled(serve: Serve, answer: Make, opened: Opened) -> None:
    asked, polled = Event(), Event()

    def answer_after_the_other(handler: Any) -> None:
        asked.set()
        polled.wait()
        answer(body=NOTHING)(handler)

    home = opened(slow=serve(answer_after_the_other), quick=serve(answer(body=NOTHING)))
    slow = poll(home, "slow")
    asked.wait()
    assert home.poll("quick", only_due=False)
    polled.set()
    slow.join()


def test_while_one_computes_another_does_not_begin(serve: Serve, answer: Make, opened: Opened) -> None:
    script = serve(answer(body=NOTHING))
    home = opened(other=script)
    with home.turns.turn():
        other = poll(home, "other")
        wait_until(lambda: stands_in(other)[:1] == ["_take"])
        asked_before = len(script.asked)
    other.join()
    assert (asked_before, len(script.asked)) == (0, 1)
