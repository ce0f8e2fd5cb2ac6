from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from tests.fakes import AT, NewestFirst, ScriptedProvider, item, page
from tests.integration.spines.line import EVERY, OVERLAP, Line
from tests.integration.store.desk import PowerCutError, power_cut
from worker.errors import (
    ContractBroken,
    Unavailable,
)
from worker.notification import Item, Notification
from worker.progress import PollSummary
from worker.provider import Window
from worker.store.tables import Delivery, Message, NotificationRow, RejectedRow, Source

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def _ago(minutes: float) -> datetime:
    return AT - MINUTE * minutes


def _rows(*minutes: int) -> list[dict[str, object]]:
    """Rows that are so many minutes old and named for it."""
    return [item(f"m{age}", at=_ago(age)) for age in minutes]


def test_a_poll_says_what_it_did(line: Line) -> None:
    line.poll(ScriptedProvider([page(item("a"), item("b"), last=True)]))
    pages = [page(item("a"), item("c"), "no object"), page(item("b", "read"), {"state": "new"}, last=True)]
    summary = line.poll(ScriptedProvider(pages))
    assert summary == PollSummary(
        pages=2, fetched=5, new=1, changed=1, unchanged=1, rejected=2, covered_until=AT, complete=True
    )


def test_a_good_poll_is_in_the_ledger_and_the_next_is_due_at_its_moment(line: Line) -> None:
    line.poll(ScriptedProvider([page(item("a"), last=True)]))
    (run,) = line.runs
    assert (run.started_at, run.finished_at, run.pages, run.fetched, run.new, run.error) == (AT, AT, 1, 1, 1, None)
    assert (run.window_start, run.window_end) == (None, AT + SECOND)
    assert AT < line.source.next_poll_at <= AT + EVERY
    assert line.source.lease_token is None


def test_a_pass_begins_an_overlap_and_a_grain_before_the_mark(line: Line) -> None:
    provider = ScriptedProvider([page(*_rows(3), last=True)], [page(last=True)])
    line.poll(provider)
    line.clock.turn(minutes=5)
    line.poll(provider)
    assert provider.asked == [
        Window(None, AT + SECOND),
        Window(_ago(3) - OVERLAP - SECOND, AT + 5 * MINUTE + SECOND),
    ]


def test_the_mark_rises_only_with_the_last_page(line: Line) -> None:
    marks: list[datetime | None] = []
    look: Callable[[], None] = lambda: marks.append(line.source.high_water)  # noqa: E731  # a step of the script
    line.poll(ScriptedProvider([page(*_rows(1)), look, page(*_rows(2)), look, page(*_rows(3), last=True)]))
    assert marks == [None, None]
    assert (line.source.high_water, line.source.covered_until) == (_ago(1), AT)


def test_a_pass_that_breaks_off_keeps_its_pages_and_not_the_mark(line: Line) -> None:
    line.fails(ScriptedProvider([page(*_rows(1, 2)), Unavailable("down")]), Unavailable)
    assert line.known == {"m1", "m2"}
    assert (line.source.high_water, line.source.covered_until) == (None, None)
    assert len(line.desk.claim()) == 2
    assert [(run.pages, run.new, run.error) for run in line.runs] == [
        (
            1,
            2,
            "The provider can't be reached or is out of order; it is asked again, after longer and longer waits. down",
        )
    ]


def test_a_page_and_its_checkpoint_commit_together_or_not_at_all(line: Line) -> None:
    cuts = 0
    while not line.known:
        cuts += 1
        with ExitStack() as script:
            cut = partial(script.enter_context, power_cut(line.desk.database, at=cuts))
            line.fails(ScriptedProvider([cut, page(*_rows(1), last=True)]), PowerCutError, AssertionError)
        counts = {len(line.desk.rows(model)) for model in (NotificationRow, Message, Delivery)}
        assert counts == ({1} if line.source.high_water else {0})
        line.desk.change(Source, {"lease_token": None, "lease_until": None})
    assert cuts >= 8


def test_a_newest_first_pass_that_was_cut_off_does_not_end_the_next_early(line: Line) -> None:
    line.poll(NewestFirst([page(*_rows(60, 75, 80), last=True)]))
    newest, rest = page(*_rows(1, 2, 30)), page(*_rows(31, 32, 59))
    line.fails(NewestFirst([newest, Unavailable()]), Unavailable)
    line.poll(NewestFirst([newest, rest, page(*_rows(60, 75, 80)), page(last=True)]))
    assert line.known == {f"m{age}" for age in (1, 2, 30, 31, 32, 59, 60, 75, 80)}
    assert line.runs[-1].pages == 3


def test_a_known_overlap_ends_a_newest_first_pass(line: Line) -> None:
    rows = _rows(1, 5, 12, 30, 40)
    line.poll(NewestFirst([page(*rows, last=True)]))
    provider = NewestFirst([page(item("new"), *rows[:2]), page(*rows[2:4]), page(*rows[4:], last=True)])
    summary = line.poll(provider)
    assert summary is not None
    assert (summary.pages, summary.new, summary.unchanged) == (2, 1, 4)
    assert line.source.high_water == AT


def test_a_change_within_the_overlap_reads_on(line: Line) -> None:
    rows = _rows(1, 5, 12, 30, 40)
    line.poll(NewestFirst([page(*rows, last=True)]))
    changed = item("m12", "read", at=_ago(12))
    summary = line.poll(NewestFirst([page(*rows[:2], changed), page(rows[3]), page(rows[4]), page(last=True)]))
    assert summary is not None
    assert summary.pages == 4


@pytest.mark.parametrize("at", [AT + timedelta(days=300), AT + 6 * SECOND, None], ids=["future", "soon", "undated"])
def test_what_has_no_good_date_is_stored_and_moves_nothing(line: Line, at: datetime | None) -> None:
    line.poll(ScriptedProvider([page(*_rows(2), item("odd", at=at), last=True)]))
    assert line.known == {"m2", "odd"}
    assert line.source.high_water == _ago(2)


def test_a_date_just_ahead_of_our_clock_counts(line: Line) -> None:
    line.poll(ScriptedProvider([page(item("a", at=AT + 5 * SECOND), last=True)]))
    assert line.source.high_water == AT + 5 * SECOND


def test_an_empty_pass_leaves_the_mark(line: Line) -> None:
    line.poll(ScriptedProvider([page(*_rows(2), last=True)]))
    line.clock.turn(minutes=5)
    line.poll(ScriptedProvider([page(last=True)]))
    assert (line.source.high_water, line.source.covered_until) == (_ago(2), AT + 5 * MINUTE)


def test_the_mark_never_falls(line: Line) -> None:
    line.poll(ScriptedProvider([page(*_rows(2), last=True)]))
    line.poll(ScriptedProvider([page(*_rows(9), last=True)]))
    assert line.source.high_water == _ago(2)


def test_what_is_refused_moves_nothing(line: Line) -> None:
    refused = item("half a pair \ud800", at=_ago(1))
    summary = line.poll(ScriptedProvider([page(*_rows(2), refused, last=True)]))
    assert summary is not None
    assert (summary.new, summary.rejected, summary.unchanged) == (1, 1, 0)
    assert (line.known, line.source.high_water) == ({"m2"}, _ago(2))
    assert [row.count for row in line.desk.rows(RejectedRow)] == [1]


def test_the_providers_clock_is_learnt_from_its_answers(line: Line) -> None:
    ahead = [page(last=True, date=AT + 100 * SECOND)]
    line.poll(ScriptedProvider(ahead))
    assert line.source.clock_offset_s == pytest.approx(100)
    provider = ScriptedProvider([page(last=True, date=AT + 200 * SECOND)])
    line.poll(provider)
    assert provider.asked == [Window(None, AT + 101 * SECOND)]
    assert line.source.clock_offset_s == pytest.approx(130)  # from then on smoothed


def test_a_bad_item_is_kept_and_the_page_goes_on(line: Line) -> None:
    class Faulty(ScriptedProvider):
        def normalise(self, item: Item, now: datetime) -> Notification:
            if item["id"] == "b":
                raise ZeroDivisionError
            return super().normalise(item, now)

    with capture_logs() as logs:
        line.poll(Faulty([page(item("a"), item("b"), item("c"), 7, last=True)]))
    assert line.known == {"a", "c"}
    assert {row.reason for row in line.desk.rows(RejectedRow)} == {
        "normalising it failed: ZeroDivisionError",
        "it is no object",
    }
    assert [entry["event"] for entry in logs] == ["poll.item_rejected", "poll.done"]


def test_a_pass_without_a_last_page_is_a_broken_contract(line: Line) -> None:
    line.fails(ScriptedProvider([page(*_rows(1))]), ContractBroken)
    assert (line.known, line.source.high_water) == ({"m1"}, None)
