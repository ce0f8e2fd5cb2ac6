"""Turns at a lock: one at a time, who is first waits for two others at most, and nobody waits for ever."""

from threading import Thread

import pytest
from sqlalchemy.exc import OperationalError

from tests.servers import wait_until
from tests.threads import stands_in
from worker.store.session import is_passing, reason
from worker.store.turns import Turns

LONG_S, SHORT_S = 60.0, 0.05


def waits(thread: Thread) -> bool:
    """Whether it stands before a lock, or is a step from it."""
    return stands_in(thread)[:1] == ["_acquire"]


def in_line(thread: Thread) -> bool:
    """Whether that is the line for the next turn."""
    return waits(thread) and "_in_line" in stands_in(thread)


def test_who_is_first_waits_for_few_of_the_others_however_many_there_are() -> None:
    turns, had = Turns(LONG_S), list[str]()

    def take(name: str, *, first: bool = False) -> None:
        with turns.turn(first=first):
            had.append(name)

    others = [Thread(target=take, args=(f"other {number}",)) for number in range(20)]
    first = Thread(target=take, args=("first",), kwargs={"first": True})
    with turns.turn():
        for thread in others:
            thread.start()
        first.start()
        wait_until(lambda: in_line(first))
    for thread in (*others, first):
        thread.join()
    assert (len(had), had.index("first") <= 2) == (21, True)


@pytest.mark.parametrize("then_first", [True, False])
@pytest.mark.parametrize("now_first", [True, False])
def test_one_has_it_at_a_time(now_first: bool, then_first: bool) -> None:  # noqa: FBT001  # a table
    turns, had = Turns(LONG_S), list[str]()

    def take() -> None:
        with turns.turn(first=then_first):
            had.append("then")

    then = Thread(target=take)
    with turns.turn(first=now_first):
        then.start()
        wait_until(lambda: waits(then))
        had.append("now")
    then.join()
    assert had == ["now", "then"]


@pytest.mark.parametrize("first", [True, False])
def test_who_gets_no_turn_in_time_fails_as_at_a_locked_file_however_many_wait(first: bool) -> None:  # noqa: FBT001  # a table
    turns, failed = Turns(SHORT_S), list[OperationalError]()

    def take() -> None:
        try:
            with turns.turn(first=first):
                pass
        except OperationalError as error:
            failed.append(error)

    threads = [Thread(target=take) for _ in range(6)]
    with turns.turn():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [(is_passing(error), reason(error)) for error in failed] == [(True, "database is locked")] * 6
    with turns.turn():
        pass  # nobody stands in the way


def test_a_turn_tells_how_many_of_its_seconds_are_left() -> None:
    turns, left = Turns(LONG_S), list[float]()

    def take() -> None:
        with turns.turn() as left_s:
            left.append(left_s)

    late = Thread(target=take)
    with turns.turn() as at_once:
        late.start()
        wait_until(lambda: waits(late))
    late.join()
    assert LONG_S - 1 < at_once <= LONG_S
    assert 0 < left[0] <= LONG_S


def test_a_turn_that_fails_is_over() -> None:
    turns = Turns(LONG_S)
    with pytest.raises(ValueError, match="it fails"), turns.turn():
        raise ValueError("it fails")
    with turns.turn(first=True):
        pass
