"""Sweeps are asked for by many; one goes on at a time, and none that asks is forgotten."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from threading import Event, Thread
from time import monotonic

import pytest

from tests.servers import wait_until
from worker.deliver import OneSweep
from worker.sweeper import Sweeper

PATIENCE_S = 60


class Sweeping:
    """Sweeps that go on until they are let go; each makes one attempt. The first `failing` raise, or say so."""

    def __init__(self, failing: int = 0, *, raising: bool = True) -> None:
        self.begun, self.failing, self.raising = 0, failing, raising
        self.goes_on, self.let_go = Event(), Event()

    def __call__(self) -> bool:
        self.begun += 1
        self.goes_on.set()
        assert self.let_go.wait(PATIENCE_S)
        if self.begun <= self.failing:
            if self.raising:
                raise ValueError(f"sweep {self.begun} fails")
            return False
        return True


def nobody() -> None:
    """Nobody waits for answers."""


def never() -> bool:
    """There is time."""
    return False


def beside(what: Callable[[], object]) -> Thread:
    thread = Thread(target=what)
    thread.start()
    return thread


def test_a_sweep_that_is_asked_for_while_one_goes_on_is_made_by_that_one() -> None:
    one, sweep, made = OneSweep(), Sweeping(), list[int]()
    first = beside(lambda: made.append(one.of(sweep, nobody, never)))
    assert sweep.goes_on.wait(PATIENCE_S)
    assert [one.of(sweep, nobody, never) for _ in range(3)] == [0, 0, 0]
    sweep.let_go.set()
    first.join()
    assert (made, sweep.begun) == ([2], 2)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_sweep_that_is_asked_for_while_one_fails_is_made_all_the_same(failing: int) -> None:
    one, sweep, failed = OneSweep(), Sweeping(failing), list[str]()

    def first() -> None:
        with pytest.raises(ValueError, match=r"sweep \d fails") as raised:
            one.of(sweep, nobody, never)
        failed.append(str(raised.value))

    beginning = beside(first)
    assert sweep.goes_on.wait(PATIENCE_S)
    assert one.of(sweep, nobody, never) == 0
    sweep.let_go.set()
    beginning.join()
    assert (failed, sweep.begun) == ([f"sweep {failing} fails"], 2)


def test_whoever_sweeps_ends_in_time_though_others_keep_asking() -> None:
    one, made = OneSweep(), list[int]()

    def sweep() -> int:
        made.append(1)
        assert one.of(sweep, nobody, never) == 0
        return 1

    assert (one.of(sweep, nobody, lambda: len(made) == 3), len(made)) == (3, 3)
    assert (one.of(sweep, nobody, lambda: True), len(made)) == (1, 4)


def test_whoever_asks_for_a_sweep_while_one_goes_on_wakes_that_one() -> None:
    one, sweep, woken = OneSweep(), Sweeping(), list[int]()
    first = beside(lambda: one.of(sweep, nobody, never))
    assert sweep.goes_on.wait(PATIENCE_S)
    assert woken == []
    one.of(sweep, lambda: woken.append(sweep.begun), never)
    sweep.let_go.set()
    first.join()
    assert woken == [1]


def test_a_sweeper_that_is_asked_while_it_sweeps_is_woken_and_not_before() -> None:
    sweep, woken = Sweeping(), Event()
    asked = Sweeper(sweep, woken.set)
    asked.start()
    asked.ask()
    assert sweep.goes_on.wait(PATIENCE_S)
    was_woken = woken.is_set()
    asked.ask()
    sweep.let_go.set()
    asked.close()
    assert (was_woken, woken.is_set()) == (False, True)


def test_sweeps_after_one_another_are_made_each() -> None:
    one, sweep = OneSweep(), Sweeping()
    sweep.let_go.set()
    assert [one.of(sweep, nobody, never), one.of(sweep, nobody, never)] == [1, 1]


@contextmanager
def sweeper(sweep: Sweeping, *pauses_s: float) -> Iterator[Sweeper]:
    """It is let go before it is closed."""
    with ExitStack() as stack:
        made = stack.enter_context(closing(Sweeper(sweep, nobody, pauses_s or [PATIENCE_S])))
        stack.callback(sweep.let_go.set)
        made.start()
        yield made


def test_a_sweeper_sweeps_when_it_is_asked_and_not_before() -> None:
    sweep = Sweeping()
    with sweeper(sweep) as asked:
        assert sweep.begun == 0
        asked.ask()
        assert sweep.goes_on.wait(PATIENCE_S)
    assert sweep.begun == 1


def test_however_often_it_is_asked_meanwhile_it_looks_once_more() -> None:
    sweep = Sweeping()
    with sweeper(sweep) as asked:
        asked.ask()
        assert sweep.goes_on.wait(PATIENCE_S)
        for _ in range(5):
            asked.ask()
        sweep.let_go.set()
        wait_until(lambda: sweep.begun == 2)
    assert sweep.begun == 2


def test_a_sweep_that_fails_is_not_the_last() -> None:
    sweep = Sweeping(failing=1)
    sweep.let_go.set()
    with sweeper(sweep) as asked:
        asked.ask()
        wait_until(lambda: sweep.begun == 1)
        asked.ask()
        wait_until(lambda: sweep.begun == 2)


@pytest.mark.parametrize("raising", [True, False], ids=["it raises", "it says so"])
def test_after_a_sweep_that_fails_it_sweeps_again_by_itself_until_one_goes_well(raising: bool) -> None:  # noqa: FBT001  # a table
    sweep = Sweeping(failing=3, raising=raising)
    sweep.let_go.set()
    with sweeper(sweep, 0.01, 0.02) as asked:
        asked.ask()
        wait_until(lambda: sweep.begun == 4)
    assert sweep.begun == 4


def test_who_closes_a_sweeper_does_not_wait_for_its_pause() -> None:
    sweep = Sweeping(failing=1)
    sweep.let_go.set()
    begun_at = monotonic()
    with sweeper(sweep) as asked:
        asked.ask()
        wait_until(lambda: sweep.begun == 1)
    assert (sweep.begun, monotonic() - begun_at < PATIENCE_S / 2) == (1, True)


def test_who_closes_a_sweeper_waits_for_the_sweep_that_goes_on() -> None:
    sweep, ended = Sweeping(), Event()
    asked = Sweeper(sweep, nobody)
    asked.start()
    asked.ask()
    assert sweep.goes_on.wait(PATIENCE_S)

    def end() -> None:
        asked.close()
        ended.set()

    closing_it = beside(end)
    assert not ended.is_set()
    sweep.let_go.set()
    closing_it.join()
    assert (ended.is_set(), sweep.begun) == (True, 1)
