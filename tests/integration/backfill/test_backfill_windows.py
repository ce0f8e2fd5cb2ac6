from datetime import timedelta

import pytest

from tests.fakes import AT, item
from tests.integration.backfill.shelf import YEAR, Pile, Reader, Shelf, Stream, history, ids, moment
from tests.integration.store.desk import PowerCutError, power_cut
from worker.errors import Unavailable
from worker.past import Past
from worker.provider import Window
from worker.store import sources

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Days go by in these; what they do to a database is tested on both by their neighbours."""

GRAIN = timedelta(seconds=1)
DAY = timedelta(days=1)


def stop_at(shelf: Shelf, request: int) -> None:
    """Ctrl-C, right before that page comes."""

    def meanwhile() -> None:
        if shelf.requests == request:
            raise KeyboardInterrupt

    shelf.meanwhile = meanwhile


def test_all_that_lies_in_the_range_is_stored_and_nothing_else(reader: Reader) -> None:
    shelf = Shelf(*history(200))
    progress = reader.read(shelf, Past(AT - 100 * DAY, AT - 50 * DAY))
    inside = [row for row in shelf.rows if AT - 100 * DAY <= moment(row) < AT - 50 * DAY]
    assert (reader.known, progress.tally.new, progress.extent.done) == (ids(inside), len(inside), True)


def test_without_until_it_ends_now(reader: Reader) -> None:
    shelf = Shelf(item("old", at=AT - YEAR), item("new", at=AT), item("later", at=AT + DAY))
    reader.read(shelf)
    assert (reader.known, reader.rows[0].until_at) == ({"old", "new"}, AT)


def test_a_row_on_a_border_of_windows_is_stored_once(reader: Reader) -> None:
    reader.read(Shelf())
    borders = [window.start_at for window in reader.windows if window.start_at]
    shelf = Shelf(*(item(f"{number}", at=at) for number, at in enumerate(borders)))
    assert reader.read(shelf).tally.new == len(borders)


def test_an_empty_year_costs_a_few_requests(reader: Reader) -> None:
    shelf = Shelf()
    reader.read(shelf)
    assert shelf.requests == 10


def test_a_short_range_has_no_window_under_two_grains(reader: Reader) -> None:
    shelf = Shelf(*history(5, AT - timedelta(seconds=5)))
    reader.read(shelf, Past(AT - timedelta(seconds=5)))
    lengths = [window.end_at - window.start_at for window in reader.windows if window.start_at and window.end_at]
    assert (reader.known, min(lengths) >= 2 * GRAIN) == (ids(shelf.rows), True)


def test_a_busy_day_is_cut_so_that_no_window_takes_more_than_a_hundred_pages(reader: Reader) -> None:
    shelf = Shelf(*history(2000, AT - DAY), *history(20))
    progress = reader.read(shelf)
    assert (reader.known, max(number for _, number in shelf.pages_of)) == (ids(shelf.rows), 100)
    assert (progress.extent.windows, progress.extent.share) == (progress.extent.windows_done, 1.0)


def test_a_moment_that_is_larger_than_any_window_is_read_to_its_end(reader: Reader) -> None:
    shelf = Shelf(*(item(f"{number}", at=AT - timedelta(seconds=2)) for number in range(400)))
    reader.read(shelf, Past(AT - timedelta(seconds=3)))
    assert reader.known == ids(shelf.rows)


@pytest.mark.parametrize("request_", [1, 3, 8, 40, 90])
def test_what_was_interrupted_goes_on_without_reading_a_finished_window_again(reader: Reader, request_: int) -> None:
    shelf = Shelf(*history(300))
    stop_at(shelf, request_)
    with pytest.raises(KeyboardInterrupt):
        reader.read(shelf)
    done = [window for window in reader.windows if window.done_at]
    again = Shelf(*shelf.rows)
    progress = reader.read(again)
    assert (reader.known, progress.resumed) == (ids(shelf.rows), True)
    assert not [window for window in done for asked in again.asked if overlaps(asked, window.start_at, window.end_at)]


def overlaps(asked: Window, start: object, end: object) -> bool:
    """By more than the grain at either end."""
    assert asked.start is not None
    assert asked.end is not None
    return bool(asked.start + GRAIN < end and asked.end - GRAIN > start)  # type: ignore[operator]


def test_a_power_cut_between_any_two_statements_loses_nothing_and_doubles_nothing(reader: Reader) -> None:
    shelf, at, past = Shelf(*history(9, AT - 8 * GRAIN)), 0, Past(AT - 8 * GRAIN)
    while not (reader.rows and reader.rows[0].done_at):
        at += 1
        try:
            with power_cut(reader.desk.database, at):
                reader.read(shelf, past)
        except PowerCutError:
            continue
    fates = reader.fates
    assert at > 20
    assert (set(fates), set(fates.values())) == ({(row["id"], 1) for row in shelf.rows}, {("skipped", "backfill")})


def test_what_is_done_is_read_anew_when_it_is_asked_for_again(reader: Reader) -> None:
    shelf = Shelf(*history(30))
    reader.read(shelf)
    shelf.rows.append(item("late", "resolved", AT - 100 * DAY))
    progress = reader.read(shelf)
    assert (progress.resumed, progress.tally.new, progress.tally.unchanged >= 30) == (False, 1, True)
    assert [row.done_at is not None for row in reader.rows] == [True]


@pytest.mark.parametrize("past", [Past(AT - YEAR, AT), Past(AT - YEAR, deliver=True), Past(AT - YEAR + GRAIN)])
def test_another_range_or_another_aim_is_another_backfill(reader: Reader, past: Past) -> None:
    shelf = Shelf(*history(30))
    stop_at(shelf, 5)
    with pytest.raises(KeyboardInterrupt):
        reader.read(shelf)
    assert reader.read(Shelf(*shelf.rows), past).resumed is False
    assert reader.read(Shelf(*shelf.rows)).resumed is True


def test_without_filters_it_is_one_window_that_ends_where_the_range_begins(reader: Reader) -> None:
    pile = Pile(*history(300))
    progress = reader.read(pile, Past(AT - 30 * DAY, AT - 10 * DAY))
    inside = [row for row in pile.rows if AT - 30 * DAY <= moment(row) < AT - 10 * DAY]
    assert (reader.known, progress.extent.windows, progress.extent.share) == (ids(inside), 1, 1.0)
    assert pile.requests == 10


def test_without_filters_undated_rows_end_nothing_and_are_kept(reader: Reader) -> None:
    pile = Pile(*history(4), *(item(f"undated-{number}", at=None) for number in range(9)))
    reader.read(pile)
    assert reader.known == ids(pile.rows)


def test_with_a_lower_bound_alone_it_is_one_window_from_there_on(reader: Reader) -> None:
    stream = Stream(*history(300))
    progress = reader.read(stream, Past(AT - 30 * DAY, AT - 10 * DAY))
    assert (stream.asked, progress.extent.windows) == ([Window(AT - 30 * DAY - GRAIN, None)], 1)
    assert reader.known == {row["id"] for row in stream.rows if AT - 30 * DAY <= moment(row) < AT - 10 * DAY}


def test_it_moves_no_checkpoint_and_leaves_the_source_to_its_polls(reader: Reader) -> None:
    before = reader.desk.source_row()
    with reader.desk.database.transaction() as session:
        lease = sources.acquire(session, "books", AT, only_due=False)
    assert lease is not None
    reader.read(Shelf(*history(30)))
    after = reader.desk.source_row()
    assert (after.high_water, after.covered_until, after.next_poll_at) == (None, None, before.next_poll_at)
    assert (after.lease_token, reader.known != set()) == (lease.token, True)


def test_a_poll_goes_on_while_it_runs(reader: Reader) -> None:
    shelf, live = Shelf(*history(60)), Shelf(item("live", at=AT))
    polls = []
    for number, _ in enumerate(reader.steps(shelf)):
        reader.clock.turn(seconds=1)
        live.rows.append(item(f"live-{number}", at=reader.clock()))
        polls.append(reader.poll(live))
    assert (reader.known, len(polls) > 20) == (ids(shelf.rows) | ids(live.rows), True)
    assert {reader.fates[row["id"], 1] for row in live.rows} == {("pending", None)}


def test_repairs_and_rejected_items_are_counted(reader: Reader) -> None:
    class Mended(Shelf):
        def page(self, rows, *, last):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            page = super().page([*rows, {"at": None}], last=last)
            return type(page)(items=page.items, last=page.last, repairs=1)

    tally = reader.read(Mended(*history(3))).tally
    assert (tally.repairs, tally.rejected, tally.pages) == (tally.pages, tally.pages, 10)


def test_a_failure_leaves_the_window_to_whoever_comes_next(reader: Reader) -> None:
    shelf = Shelf(*history(30))

    def fail() -> None:
        raise Unavailable

    shelf.meanwhile = fail
    with pytest.raises(Unavailable):
        reader.read(shelf)
    assert [window.claim_token for window in reader.windows if window.claim_token] == []
