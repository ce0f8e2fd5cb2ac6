"""When a worker that takes nothing is held to hang: a decision about looks."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from worker.broker.watchdog import LOOK_EVERY, Look, Verdict, Watch, watch

_IDLE_THOUGH_TASKS_WAIT = Look(at=timedelta(), waiting=3, taken=7, held=0, room=2)
_LIMIT = timedelta(seconds=60)
_LONG = 200


def seen(looks: Iterable[Look]) -> list[Verdict]:
    """The verdict after each of them, a look every five seconds."""
    known, verdicts = Watch(), []
    for number, look in enumerate(looks):
        known = known.after(replace(look, at=number * LOOK_EVERY))
        verdicts.append(known.verdict(_LIMIT))
    return verdicts


def looks(number: int, **otherwise: Any) -> list[Look]:
    return [replace(_IDLE_THOUGH_TASKS_WAIT, **otherwise)] * number


def test_one_that_takes_nothing_for_a_minute_though_tasks_wait_hangs() -> None:
    verdicts = seen(looks(13))
    assert [Verdict.FINE] + [Verdict.SUSPECT] * 11 + [Verdict.HUNG] == verdicts


def test_one_that_takes_now_and_then_does_not_hang_however_much_waits() -> None:
    working = [replace(_IDLE_THOUGH_TASKS_WAIT, taken=number // 10, waiting=10_000) for number in range(_LONG)]
    assert Verdict.HUNG not in seen(working)


def test_with_empty_queues_nothing_is_wrong_however_long_it_takes_nothing() -> None:
    assert {Verdict.FINE} == set(seen(looks(_LONG, waiting=0)))


def test_while_redis_does_not_answer_nothing_is_wrong_with_the_worker() -> None:
    assert {Verdict.FINE} == set(seen(looks(_LONG, waiting=None)))


def test_when_redis_answers_again_the_worker_has_its_whole_time_to_connect() -> None:
    verdicts = seen(looks(12) + looks(1, waiting=None) + looks(13))
    assert 13 + 12 == verdicts.index(Verdict.HUNG)


def test_one_with_no_room_for_more_is_at_work_until_any_task_must_have_ended() -> None:
    full = seen(looks(_LONG, held=2))
    assert timedelta(minutes=10) == full.index(Verdict.HUNG) * LOOK_EVERY


def test_one_that_ended_a_long_task_has_its_whole_time_to_take_another() -> None:
    verdicts = seen(looks(100, held=2) + looks(12, held=1))
    assert Verdict.HUNG not in verdicts


def test_it_looks_until_the_worker_hangs() -> None:
    numbers = count()
    ticking = lambda: replace(_IDLE_THOUGH_TASKS_WAIT, at=next(numbers) * LOOK_EVERY)  # noqa: E731
    known = watch(ticking, lambda _: False, _LIMIT)
    assert known is not None
    assert known.before == replace(_IDLE_THOUGH_TASKS_WAIT, at=_LIMIT)


def test_a_worker_that_is_told_to_end_is_no_longer_looked_at() -> None:
    answers = iter([False, False, True])
    assert watch(lambda: _IDLE_THOUGH_TASKS_WAIT, lambda _: next(answers), _LIMIT) is None
