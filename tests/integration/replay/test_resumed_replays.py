import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, delete

from tests.fakes import AT
from tests.integration.replay.desk import LATER, SECOND, Past, made
from tests.integration.store.desk import PowerCutError, power_cut
from worker.store.replays import Asked, Standing
from worker.store.tables import Attempt, Delivery, Message

HERE = Path(__file__).parent
MESSAGES, PORTION = 10, 3
COMMITS = 5
"""Its beginning, three full portions, and the rest; after the last it is finished, and can be asked for again."""


def process(url: str, point: str, times: int = 1) -> int:
    words = (sys.executable, str(HERE / "replay_dies.py"), url, point, str(times))
    return subprocess.run(words, cwd=HERE.parents[2], env={"PYTHONPATH": "."}, timeout=30, check=False).returncode


def sent(past: Past) -> list[str]:
    """What is pending goes out, and arrives; its messages."""
    due = past.desk.claim(now=LATER)
    past.desk.record([past.desk.judged(one, 200, LATER) for one in due], LATER)
    return [one.message_id for one in due]


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("about to be committed", 1),
        ("committed", 1),
        ("about to be committed", 3),
        ("committed", 3),
        ("about to be committed", COMMITS),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_killed_at_any_point_and_resumed_every_message_is_owed_once(
    past: Past, database_url: str, point: str, times: int
) -> None:
    ids = past.some(MESSAGES)
    assert sent(past) == ids
    assert process(database_url, point, times) == -signal.SIGKILL
    before = sent(past)
    extent = past.replay(portion=PORTION)
    assert (sorted(before + sent(past)), extent.done) == (sorted(ids), True)
    assert (extent.total, extent.owed) == (MESSAGES, MESSAGES)


@pytest.mark.parametrize("point", ["about to be committed", "committed"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_killed_on_a_server_and_resumed_by_the_same_command_every_message_is_owed_once(
    past: Past, database_url: str, point: str
) -> None:
    ids = past.some(MESSAGES, told=False)
    assert process(database_url, point, 3) == -signal.SIGKILL
    before = sent(past)
    assert process(database_url, "never") == 0
    assert sorted(before + sent(past)) == sorted(ids)


@pytest.mark.parametrize("statement", range(1, 9, 2))
def test_what_a_power_cut_leaves_undone_is_done_by_the_next_call(past: Past, statement: int) -> None:
    ids = past.some(MESSAGES, told=False)
    steps = past.steps(portion=PORTION)
    next(steps)
    next(steps)
    with pytest.raises(PowerCutError), power_cut(past.desk.database, statement):
        next(steps)
    assert past.owed == set(ids[:PORTION])
    extent = past.replay(portion=PORTION)
    assert (extent.owed, past.owed, len(past.rows)) == (MESSAGES, set(ids), 1)


def test_the_same_call_goes_on_with_the_unfinished_one(past: Past) -> None:
    ids = past.some(MESSAGES, told=False)
    begun = [extent for _, extent in zip(range(2), past.steps(portion=PORTION), strict=False)]
    assert [extent.owed for extent in begun] == [0, PORTION]
    first = sent(past)
    found = past.survey(now=LATER + SECOND)
    assert (found.begun, found.total) == (begun[-1], MESSAGES)
    past.replay(portion=PORTION, now=LATER + SECOND)
    assert (first, past.owed, len(past.rows)) == (ids[:PORTION], set(ids[PORTION:]), 1)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(AT + SECOND),
        Asked(AT, AT + 5 * SECOND),
        Asked(AT, standing=Standing.PENDING),
    ],
)
def test_another_range_or_status_is_another_replay(past: Past, asked: Asked) -> None:
    past.some(MESSAGES)
    next(past.steps())
    assert past.survey(asked, LATER + SECOND).begun is None
    past.replay(asked, now=LATER + SECOND)
    assert [row.finished_at is None for row in past.rows] == [True, False]


@pytest.mark.parametrize(
    "asked", [Asked(AT, LATER - SECOND), Asked(AT, LATER + timedelta(days=1)), Asked(AT, standing=Standing.PENDING)]
)
def test_a_range_with_an_end_or_a_status_is_gone_on_with_too(past: Past, asked: Asked) -> None:
    past.some(MESSAGES)
    next(past.steps(asked))
    assert past.survey(asked, LATER + timedelta(days=2)).begun is not None


def test_what_is_finished_is_owed_again_by_another_call_and_leaves_no_row(past: Past) -> None:
    ids = past.some(2)
    past.replay()
    assert sent(past) == ids
    assert (past.survey().begun, past.replay().owed, past.owed, len(past.rows)) == (None, 2, set(ids), 1)


def test_what_is_made_after_it_began_is_not_owed_by_it(past: Past) -> None:
    past.some(2)
    next(past.steps())
    late = past.store("late", second=3601)
    past.replay(now=LATER + timedelta(hours=1))
    assert late not in past.owed


def test_two_at_once_take_turns_and_owe_nothing_twice(past: Past) -> None:
    past.some(MESSAGES, told=False)
    running = [past.steps(portion=PORTION) for _ in range(2)]
    told = [[next(steps)] for steps in running]
    while running:
        for number, steps in enumerate(running):
            if (extent := next(steps, None)) is None:
                running.pop(number)
            else:
                told[number].append(extent)
    assert [extents[-1].owed for extents in told] == [MESSAGES, MESSAGES]
    assert (len(past.rows), len(past.desk.deliveries())) == (1, MESSAGES)


def test_one_that_was_finished_and_forgotten_meanwhile_is_done(past: Past) -> None:
    past.some(1)
    steps = past.steps()
    next(steps)
    past.replay()
    past.replay(Asked(AT + SECOND))
    assert [extent.done for extent in steps] == [True]
    assert len(past.rows) == 1


def test_more_messages_than_a_portion_made_at_one_instant_are_each_owed_once(past: Past) -> None:
    ids = [past.store(f"n{number}") for number in range(MESSAGES)]
    owed = [extent.owed for extent in past.steps(portion=PORTION)]
    assert (owed, past.owed) == ([0, 3, 6, 9, 10], set(ids))


def in_portions(past: Past) -> list[str]:
    """The messages in the order in which they go out, where everything owed goes out at once."""
    arrived = []
    for _ in past.steps(portion=1):
        while came := sent(past):
            arrived += came
    return arrived


@pytest.mark.parametrize("apart", [0, -1, -7200])
def test_an_earlier_revision_never_goes_out_after_a_later_one(past: Past, apart: int) -> None:
    """Made at one instant, or by a worker whose clock is behind; their ids are in no order."""
    for number in range(4):
        revisions = [past.store(f"n{number}", state, 10, told=False) for state in ("new", "read", "received")]
        with past.desk.database.transaction() as session:
            made(session, revisions[1], AT + timedelta(seconds=10 + apart / 7200))
            made(session, revisions[2], AT + timedelta(seconds=10 + apart / 3600))
    numbers = {row.id: (row.notification_id, row.revision) for row in past.messages}
    arrived = [numbers[one] for one in in_portions(past)]
    assert len(arrived) == len(numbers) == len(set(arrived))
    assert all(arrived.index((of, n)) < arrived.index((of, n + 1)) for of, n in arrived if n < 3)


def test_it_goes_on_behind_a_message_that_was_pruned_meanwhile(past: Past) -> None:
    ids = past.some(3, told=False)
    steps = past.steps(portion=1)
    assert [next(steps).owed, next(steps).owed] == [0, 1]
    sent(past)
    with past.desk.database.transaction() as session:
        for model in (Attempt, Delivery):
            session.execute(delete(model))
        session.execute(delete(Message).where(col(Message.id) == ids[0]))
    assert ([extent.owed for extent in steps], past.owed) == ([2, 3, 3], set(ids[1:]))
