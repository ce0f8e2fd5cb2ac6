from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

import pytest
from structlog.testing import capture_logs

from tests.fakes import AT, FakeClock, NewestFirst, ScriptedProvider, Step, item, page
from tests.integration.spines.line import Line
from worker.errors import (
    AuthFailed,
    ContractBroken,
    LeaseLost,
    ProviderError,
    RateLimited,
    Unavailable,
)
from worker.poll import LONGEST_WAIT
from worker.progress import PollSummary
from worker.store.sources import LEASE_FOR

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def _ago(minutes: float) -> datetime:
    return AT - MINUTE * minutes


def _rows(*minutes: int) -> list[dict[str, object]]:
    """Rows that are so many minutes old and named for it."""
    return [item(f"m{age}", at=_ago(age)) for age in minutes]


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (RateLimited("slow"), SECOND / 10, SECOND),
        (Unavailable("down"), SECOND / 10, SECOND),
        (ContractBroken("odd"), SECOND / 10, SECOND),
        (ZeroDivisionError("secret"), SECOND / 10, SECOND),
    ],
    ids=["limited", "down", "broken", "ours"],
)
def test_a_source_that_fails_is_tried_again_later(
    line: Line, error: Exception, least: timedelta, most: timedelta
) -> None:
    line.fails(ScriptedProvider([error]), type(error))
    row = line.source
    assert AT + least <= row.next_poll_at <= AT + most
    assert (row.failures, row.failing_since, row.paused_at, row.lease_token) == (1, AT, None, None)
    assert row.reason == (str(error) if isinstance(error, ProviderError) else "an error of our own: ZeroDivisionError")


def test_a_source_that_is_told_to_wait_waits_and_has_not_failed(line: Line) -> None:
    line.fails(ScriptedProvider([RateLimited("slow", MINUTE * 7)]), RateLimited)
    row = line.source
    assert (row.next_poll_at, row.failures, row.failing_since, row.lease_token) == (AT + MINUTE * 7, 0, None, None)


def test_a_source_whose_credentials_are_refused_is_paused(line: Line) -> None:
    with capture_logs() as logs:
        line.fails(ScriptedProvider([AuthFailed("401")]), AuthFailed)
    assert line.source.paused_at == AT
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("poll.paused", "error")]
    assert line.poll(ScriptedProvider(), only_due=True) is None


def test_waits_grow_up_to_an_hour_and_failing_is_told_once(line: Line) -> None:
    waits = []
    with capture_logs() as logs:
        for _ in range(20):
            line.fails(ScriptedProvider([Unavailable()]), Unavailable)
            waits.append(line.source.next_poll_at - line.clock())
            line.clock.at = line.source.next_poll_at
    assert all(wait <= min(SECOND * 2**number, LONGEST_WAIT) for number, wait in enumerate(waits))
    assert max(waits) > timedelta(minutes=30)
    assert line.source.failing_since == AT
    assert [entry["event"] for entry in logs] == ["poll.failing"]


def test_a_first_wait_is_no_longer_than_the_interval(line: Line) -> None:
    line.every = SECOND / 5
    line.fails(ScriptedProvider([Unavailable()]), Unavailable)
    assert line.source.next_poll_at <= AT + SECOND / 5


def test_a_good_poll_ends_the_failing_and_says_so_once(line: Line) -> None:
    for _ in range(2):
        line.fails(ScriptedProvider([Unavailable()]), Unavailable)
    with capture_logs() as logs:
        for _ in range(2):
            line.poll(ScriptedProvider([page(last=True)]))
    assert (line.source.failures, line.source.failing_since, line.source.reason) == (0, None, None)
    assert [entry["event"] for entry in logs if entry["event"] == "poll.recovered"] == ["poll.recovered"]


def test_a_poll_that_is_told_to_end_puts_its_lease_back(line: Line) -> None:
    line.stopping = lambda: True
    summary = line.poll(ScriptedProvider([page(*_rows(1)), page(*_rows(2), last=True)]))
    assert summary is not None
    assert (summary.pages, line.known) == (1, {"m1"})
    assert (line.source.lease_token, line.source.next_poll_at, line.source.failures) == (None, AT, 0)
    assert [(run.finished_at, run.pages, run.error) for run in line.runs] == [(AT, 1, "the process was told to end")]


def test_a_lease_is_known_while_it_is_held(line: Line) -> None:
    held: list[set[str]] = []
    line.poll(ScriptedProvider([lambda: held.append(set(line.held)), page(last=True)]))
    assert (len(held[0]), line.held) == (1, set())


def test_one_of_two_polls_finds_the_lease_taken(line: Line) -> None:
    second: list[PollSummary | None] = []
    line.poll(ScriptedProvider([lambda: second.append(line.poll(ScriptedProvider())), page(last=True)]))
    assert second == [None]


@pytest.mark.parametrize("ending", [[page(*_rows(2), last=True)], [Unavailable()], []], ids=["page", "error", "end"])
def test_a_process_that_stalls_beyond_its_lease_writes_nothing(line: Line, ending: Sequence[Step]) -> None:
    before: list[object] = []

    def stall() -> None:
        line.clock.turn(seconds=LEASE_FOR.total_seconds())
        before.extend(line.everything())

    script: list[Step] = [page(*_rows(1)), stall, *ending]
    with capture_logs() as logs:
        line.fails(ScriptedProvider(script), LeaseLost)
    assert line.everything() == before
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] in ([], ["poll.lease_lost"])


def test_a_process_that_was_overtaken_writes_nothing(line: Line) -> None:
    before: list[object] = []

    def overtake() -> None:
        line.clock.turn(seconds=LEASE_FOR.total_seconds())
        line.poll(ScriptedProvider([page(*_rows(5), last=True)]))
        before.extend(line.everything())

    line.fails(ScriptedProvider([page(*_rows(1)), overtake, page(*_rows(2), last=True)]), LeaseLost)
    assert line.everything() == before


def test_every_page_renews_the_lease(line: Line) -> None:
    nearly: Callable[[], object] = lambda: line.clock.turn(seconds=50)  # noqa: E731  # a step of the script
    pages: list[Step] = [page(*_rows(1)), nearly, page(*_rows(2)), nearly, page(*_rows(3), last=True)]
    assert line.poll(ScriptedProvider(pages)) is not None


def test_what_is_not_due_is_not_polled(line: Line) -> None:
    line.poll(ScriptedProvider([page(last=True)]))
    assert line.poll(ScriptedProvider(), only_due=True) is None


def test_any_order_of_crashes_loses_nothing(line: Line, clock: FakeClock) -> None:
    """Rows come and change while polls break off at random; in the end all is known as it is."""
    random = Random(4)
    rows: dict[str, dict[str, object]] = {}
    for number in range(25):
        clock.turn(minutes=2)
        rows[f"r{number}"] = item(f"r{number}", at=clock())
        changed = random.choice(sorted(rows))
        rows[changed] |= {"state": "read"}
        newest = sorted(rows.values(), key=lambda row: str(row["at"]), reverse=True)
        pages = [page(*newest[at : at + 3]) for at in range(0, len(newest), 3)]
        cut = random.randrange(len(pages) + 1)
        if number < 24:
            line.fails(NewestFirst([*pages[:cut], Unavailable()]), Unavailable, AssertionError)
    line.poll(NewestFirst([*pages, page(last=True)]))
    assert line.known == set(rows)
