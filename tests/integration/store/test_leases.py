from datetime import timedelta

import pytest

from tests.fakes import AT
from tests.integration.store.desk import Desk
from worker.errors import LeaseLost
from worker.progress import Checkpoint, PollSummary
from worker.provider import Window
from worker.store import sources
from worker.store.sources import LEASE_FOR, Lease, Setback
from worker.store.tables import PollRun, Source

BEFORE_END = AT + LEASE_FOR - timedelta(seconds=1)
AFTER_END = AT + LEASE_FOR
SUMMARY = PollSummary(pages=2, fetched=5, new=1, changed=1, unchanged=2, rejected=1, repairs=3)


def _acquire(desk: Desk, *, only_due: bool = False) -> Lease | None:
    with desk.database.transaction() as session:
        return sources.acquire(session, "books", desk.now, only_due=only_due)


@pytest.fixture
def lease(desk: Desk) -> Lease:
    lease = _acquire(desk)
    assert lease is not None
    return lease


def _queue(desk: Desk, *names: str) -> list[str]:
    with desk.database.transaction() as session:
        return sources.queue_due(session, names or ["books"], desk.now)


def test_a_lease_is_taken_by_one(desk: Desk, lease: Lease) -> None:
    desk.now = BEFORE_END
    assert lease.source == "books"
    assert _acquire(desk) is None


def test_a_lease_that_ran_out_is_taken_over(desk: Desk, lease: Lease) -> None:
    desk.now = AFTER_END
    taken = _acquire(desk)
    assert taken is not None
    assert taken.token != lease.token
    assert taken.poll_run_id != lease.poll_run_id


def test_a_lease_carries_what_is_committed(desk: Desk) -> None:
    desk.source("later", start_at=AT)
    values = {"high_water": AT, "clock_offset_s": -1.5, "covered_until": BEFORE_END, "failures": 4}
    desk.change(Source, values, name="later")
    with desk.database.transaction() as session:
        lease = sources.acquire(session, "later", desk.now, only_due=True)
    assert lease is not None
    assert lease.checkpoint == Checkpoint(AT, timedelta(seconds=-1.5), BEFORE_END)
    assert (lease.start_at, lease.failures) == (AT, 4)


def _write(desk: Desk, lease: Lease, what: str) -> None:
    with desk.database.transaction() as session:
        match what:
            case "renew":
                sources.renew(session, lease, desk.now)
            case "advance":
                sources.advance(session, lease, Checkpoint(AT, timedelta(seconds=9), AT), desk.now)
            case "settle":
                sources.settle(session, lease, AT + timedelta(days=9), desk.now)
            case _:
                sources.set_back(session, lease, Setback("no", AT + timedelta(days=9), paused=True), desk.now)


@pytest.mark.parametrize("what", ["renew", "advance", "settle", "set_back"])
def test_whoever_is_too_late_writes_nothing(desk: Desk, lease: Lease, what: str) -> None:
    before, desk.now = desk.source_row(), AFTER_END
    with pytest.raises(LeaseLost, match="source books"):
        _write(desk, lease, what)
    assert desk.source_row() == before


@pytest.mark.parametrize("what", ["renew", "advance", "settle", "set_back"])
def test_whoever_was_overtaken_writes_nothing(desk: Desk, lease: Lease, what: str) -> None:
    desk.now = AFTER_END
    assert _acquire(desk)
    before = desk.source_row()
    with pytest.raises(LeaseLost):
        _write(desk, lease, what)
    assert desk.source_row() == before


def test_a_renewed_lease_holds_for_another_minute(desk: Desk, lease: Lease) -> None:
    desk.now = BEFORE_END
    _write(desk, lease, "renew")
    desk.now = BEFORE_END + LEASE_FOR - timedelta(seconds=1)
    assert _acquire(desk) is None


def test_a_checkpoint_comes_back_as_it_went(desk: Desk, lease: Lease) -> None:
    _write(desk, lease, "advance")
    desk.now = AFTER_END
    again = _acquire(desk)
    assert again is not None
    assert again.checkpoint == Checkpoint(AT, timedelta(seconds=9), AT)


def test_a_good_poll_clears_what_went_before(desk: Desk, lease: Lease) -> None:
    desk.change(Source, {"failures": 3, "failing_since": AT, "reason": "was down", "queued_until": BEFORE_END})
    _write(desk, lease, "settle")
    row = desk.source_row()
    assert (row.failures, row.failing_since, row.reason, row.lease_token, row.queued_until) == (
        0,
        None,
        None,
        None,
        None,
    )
    assert row.next_poll_at == AT + timedelta(days=9)


def test_a_bad_poll_counts_and_dates_the_first(desk: Desk, lease: Lease) -> None:
    _write(desk, lease, "set_back")
    first, desk.now = desk.source_row(), AT + timedelta(hours=1)
    again = _acquire(desk)
    assert again is not None
    _write(desk, again, "set_back")
    row = desk.source_row()
    assert (first.failures, first.failing_since, first.paused_at, first.reason) == (1, AT, AT, "no")
    assert (row.failures, row.failing_since, row.lease_until) == (2, AT, None)


def test_any_reason_can_be_kept(desk: Desk, lease: Lease) -> None:
    with desk.database.transaction() as session:
        sources.set_back(session, lease, Setback("nul \x00, half a pair \ud800", AT), AT)
        sources.record_run(session, lease.poll_run_id, SUMMARY, "nul \x00, half a pair \ud800", AT)
    assert desk.source_row().reason == "nul \ufffd, half a pair ?"
    assert [run.error for run in desk.rows(PollRun)] == ["nul \ufffd, half a pair ?"]


def _pause(desk: Desk) -> bool:
    with desk.database.transaction() as session:
        return sources.pause(session, "books", "the owner is away", desk.now)


def test_a_poll_that_fails_does_not_undo_a_pause(desk: Desk, lease: Lease) -> None:
    _pause(desk)
    with desk.database.transaction() as session:
        sources.set_back(session, lease, Setback("it is down", AT), AT + timedelta(seconds=1))
    row = desk.source_row()
    assert (row.paused_at, row.reason) == (AT, "the owner is away")


def test_a_good_poll_by_hand_does_not_undo_a_pause(desk: Desk, lease: Lease) -> None:
    _pause(desk)
    _write(desk, lease, "settle")
    row = desk.source_row()
    assert (row.paused_at, row.reason) == (AT, "the owner is away")


def test_a_lease_put_back_leaves_the_source_due(desk: Desk, lease: Lease) -> None:
    _queue(desk)
    with desk.database.transaction() as session:
        sources.put_back(session, lease.token)
    assert _queue(desk) == ["books"]
    assert _acquire(desk, only_due=True)


def test_only_its_holder_puts_a_lease_back(desk: Desk, lease: Lease) -> None:
    with desk.database.transaction() as session:
        sources.put_back(session, "another")
    assert desk.source_row().lease_token == lease.token


def test_the_ledger_has_a_row_for_each_poll(desk: Desk, lease: Lease) -> None:
    with desk.database.transaction() as session:
        sources.record_run(session, lease.poll_run_id, SUMMARY, None, BEFORE_END)
    desk.now = AFTER_END
    _acquire(desk)
    done, cut_off = desk.rows(PollRun)
    assert (done.started_at, done.finished_at, done.error) == (AT, BEFORE_END, None)
    assert (done.pages, done.fetched, done.new, done.changed, done.unchanged, done.rejected, done.repairs) == (
        2, 5, 1, 1, 2, 1, 3,
    )  # fmt: skip
    assert (cut_off.started_at, cut_off.finished_at) == (AFTER_END, None)


def test_the_ledger_says_which_window_was_read(desk: Desk, lease: Lease) -> None:
    with desk.database.transaction() as session:
        sources.record_window(session, lease.poll_run_id, Window(AT, BEFORE_END))
    (run,) = desk.rows(PollRun)
    assert (run.window_start, run.window_end) == (AT, BEFORE_END)
