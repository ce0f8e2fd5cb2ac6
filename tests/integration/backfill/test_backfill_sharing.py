import os
import socket
import subprocess
import sys
from dataclasses import replace

from tests.integration.backfill.shelf import Reader, Shelf, history, ids
from worker.store.backfills import LEASE_FOR

ELSEWHERE = "elsewhere/1/one"


def test_two_at_once_share_the_windows(reader: Reader) -> None:
    rows = history(300)
    one, other = Shelf(*rows), Shelf(*rows)
    running = [reader.steps(one), reader.steps(other)]
    while running:
        running = [steps for steps in running if next(steps, None)]
    assert (reader.known, set(one.asked) & set(other.asked)) == (ids(rows), set())
    assert min(len(one.asked), len(other.asked)) > 2


def test_who_finds_nothing_left_waits_for_the_other(reader: Reader) -> None:
    rows = history(2)
    mine = reader.steps(Shelf(*rows), watch=replace(reader.watch(), token=ELSEWHERE))
    begun = [next(mine)]
    shelf = Shelf(*rows)
    waiting = reader.steps(shelf)
    while not reader.waits:
        begun.append(next(waiting))
    told = "Another process is reading what is left, or was; waiting for it."
    assert (reader.told, reader.known) == ([told], ids(rows) - {rows[0]["id"]})
    assert list(mine)[-1].extent.done
    assert list(waiting)[-1].extent.done


def test_what_another_machine_left_claimed_is_taken_when_the_claim_ends(reader: Reader) -> None:
    rows = history(30)
    lost = reader.steps(Shelf(*rows), watch=replace(reader.watch(), token=ELSEWHERE))
    next(lost)
    began = reader.clock()
    assert reader.read(Shelf(*rows)).extent.done
    assert (reader.known, reader.clock() - began) == (ids(rows), LEASE_FOR)


def test_who_stalls_beyond_its_claim_writes_nothing_and_goes_on(reader: Reader) -> None:
    rows = history(30)
    stalled = Shelf(*rows)
    steps = reader.steps(stalled, watch=replace(reader.watch(), token=ELSEWHERE))
    next(steps)
    reader.clock.turn(seconds=2 * LEASE_FOR.total_seconds())
    done = reader.read(Shelf(*rows))
    last = list(steps)[-1]
    assert (reader.known, last.tally.pages, last.extent.done) == (ids(rows), done.tally.pages, True)
    assert len(stalled.asked) == 1


def test_what_a_dead_process_of_this_machine_left_claimed_is_taken_at_once(reader: Reader) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    rows, dead = history(30), f"{socket.gethostname()}/{ended.pid}/one"
    lost = reader.steps(Shelf(*rows), watch=replace(reader.watch(), token=dead))
    next(lost)
    reader.read(Shelf(*rows))
    assert (reader.known, reader.waits) == (ids(rows), [])


def test_only_a_process_of_this_machine_can_be_seen_to_be_dead(reader: Reader) -> None:
    here, watch = socket.gethostname(), reader.watch()
    tokens = [
        watch.token,
        f"{here}/1/one",
        f"{here}/{os.getppid()}/x",
        f"{here}/none/x",
        f"{here}/{10**30}/x",
        ELSEWHERE,
    ]
    assert [watch.abandoned(token) for token in tokens] == [False] * 6
