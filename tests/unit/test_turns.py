"""Turns at a lock: one at a time, and who is first waits for two others at most."""

import sys
from threading import Thread

import pytest

from tests.servers import wait_until
from worker.store.turns import Turns


def in_line(thread: Thread) -> bool:
    """Whether it stands before the lock, or is a step from it."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # there is no other way to see it wait
    return frame is not None and frame.f_code.co_name == "_in_line"


def test_who_is_first_waits_for_few_of_the_others_however_many_there_are() -> None:
    turns, had = Turns(), list[str]()

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


def test_one_has_it_at_a_time() -> None:
    turns, inside, most = Turns(), list[int](), list[int]()

    def work(number: int) -> None:
        for _ in range(50):
            with turns.turn(first=number % 2 == 0):
                inside.append(number)
                most.append(len(inside))
                inside.pop()

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), len(most)) == (1, 300)


def test_a_turn_that_fails_is_over() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="it fails"), turns.turn():
        raise ValueError("it fails")
    with turns.turn(first=True):
        pass
