"""Polls compute one at a time: but none is kept for long by one that is stuck, nor by one that waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from tests.servers import wait_until
from worker.computing import OneAtATime, turns_at

LONG_S, SHORT_S = 60.0, 0.01


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[Thread]:
    """Another thread; it has ended at the end."""
    thread = Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def takes(one: OneAtATime, had: list[str], name: str = "other") -> Callable[[], None]:
    def take() -> None:
        with one.turn():
            had.append(name)

    return take


def test_however_many_want_to_one_computes_at_a_time() -> None:
    one, inside, most = OneAtATime(LONG_S), list[int](), list[int]()

    def compute() -> None:
        for _ in range(50):
            with one.turn():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [Thread(target=compute) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), set(most)) == (400, {1})


def test_while_one_waits_aside_another_computes_and_it_goes_on_after_that() -> None:
    one, had, asides = OneAtATime(LONG_S), list[str](), Event()

    def wait_aside() -> None:
        with one.turn():
            with one.aside():
                asides.set()
                wait_until(lambda: had == ["other"])
            had.append("first")

    with beside(wait_aside):
        asides.wait()
        takes(one, had)()
    assert had == ["other", "first"]


def test_who_comes_back_from_aside_waits_for_its_turn() -> None:
    one, had, back = OneAtATime(LONG_S), list[str](), Event()

    def come_back() -> None:
        with one.turn():
            with one.aside():
                back.wait()
            had.append("first")

    with beside(come_back), one.turn():
        back.set()
        had.append("other")
    assert had == ["other", "first"]


@contextmanager
def stuck(one: OneAtATime, had: list[str]) -> Iterator[None]:
    """One has its turn meanwhile; a turn that another had ended would raise before it says so."""
    stands, free = Event(), Event()

    def hold() -> None:
        with one.turn():
            stands.set()
            free.wait()
        had.append("stuck")

    with beside(hold):
        stands.wait()
        try:
            yield
        finally:
            free.set()


def test_nobody_waits_for_long_for_one_that_is_stuck() -> None:
    one, had = OneAtATime(SHORT_S), list[str]()
    with stuck(one, had):
        takes(one, had, "second")()
        takes(one, had, "third")()
    assert had == ["second", "third", "stuck"]


def test_who_went_on_beside_one_that_is_stuck_ends_no_turn_but_its_own() -> None:
    one, had = OneAtATime(SHORT_S), list[str]()
    with stuck(one, had), one.turn(), one.aside():
        pass
    assert had == ["stuck"]


def test_who_stands_aside_within_aside_comes_back_once_and_leaves_the_turn_to_others() -> None:
    one, had = OneAtATime(LONG_S), list[str]()
    with one.turn(), one.aside():
        with one.aside():
            had.append("first")
        with beside(takes(one, had)):
            pass
    with beside(takes(one, had, "third")):
        pass
    assert had == ["first", "other", "third"]


def test_turns_are_waited_for_where_polls_write_in_turn_in_any_case() -> None:
    assert turns_at("sqlite:///a.db").patience_s > turns_at("postgresql+psycopg://host/name").patience_s == 0


def test_without_patience_nobody_waits() -> None:
    one, had = OneAtATime(0), list[str]()
    with one.turn(), beside(takes(one, had)):
        pass
    assert had == ["other"]


def test_an_error_ends_the_turn_and_aside_too() -> None:
    one, had = OneAtATime(LONG_S), list[str]()
    with pytest.raises(ZeroDivisionError), one.turn(), one.aside():
        raise ZeroDivisionError
    with beside(takes(one, had)):
        pass
    assert had == ["other"]


def test_aside_without_a_turn_is_nothing() -> None:
    one, had = OneAtATime(LONG_S), list[str]()
    with one.aside(), one.turn():
        had.append("first")
    with one.aside():
        had.append("then")
    assert had == ["first", "then"]
