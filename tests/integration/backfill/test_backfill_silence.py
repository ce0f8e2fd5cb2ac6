from datetime import timedelta

import pytest

from tests.fakes import AT, item
from tests.integration.backfill.shelf import OVERLAP, YEAR, Pile, Reader, Shelf, history
from worker.past import Past
from worker.store.tables import Message, NotificationRow, RejectedRow, Source

DAY = timedelta(days=1)
SILENT, OWED = ("skipped", "backfill"), ("pending", None)
ALL = Past(AT - YEAR, deliver=True)


def polled(reader: Reader, until_days_ago: float = 0) -> None:
    reader.desk.change(Source, {"high_water": AT - until_days_ago * DAY, "start_at": None}, name="books")


def test_what_is_new_is_stored_with_its_message_and_skipped_with_the_reason(reader: Reader) -> None:
    reader.read(Shelf(*history(9)))
    assert (len(reader.desk.rows(Message)), set(reader.fates.values())) == (9, {SILENT})
    assert reader.desk.claim() == []


def test_a_change_of_what_was_known_is_owed_as_always(reader: Reader) -> None:
    shelf = Shelf(item("1", "new", AT - DAY))
    reader.desk.store(*shelf.rows)
    shelf.rows = [item("1", "resolved", AT - DAY)]
    tally = reader.read(shelf).tally
    assert (reader.fates["1", 2], tally.changed, tally.owed) == (OWED, 1, 1)


def test_what_the_next_poll_would_find_is_told_by_whoever_comes_first(reader: Reader) -> None:
    polled(reader)
    mark = AT - OVERLAP
    rows = [item("past", at=mark - timedelta(seconds=1)), item("live", at=mark), item("newest", at=AT)]
    reader.read(Shelf(*rows))
    assert reader.fates == {("past", 1): SILENT, ("live", 1): OWED, ("newest", 1): OWED}


def test_what_has_no_time_is_told(reader: Reader) -> None:
    reader.read(Pile(item("undated", at=None), item("old", "resolved", AT - DAY)))
    assert reader.fates == {("undated", 1): OWED, ("old", 1): SILENT}


def test_what_a_source_that_starts_at_the_beginning_has_yet_to_poll_is_told(reader: Reader) -> None:
    reader.desk.change(Source, {"start_at": None}, name="books")
    reader.read(Shelf(*history(9)))
    assert set(reader.fates.values()) == {OWED}


def test_delivering_owes_all_of_it_also_from_before_start_at(reader: Reader) -> None:
    tally = reader.read(Shelf(*history(9)), ALL).tally
    assert (set(reader.fates.values()), tally.owed) == ({OWED}, 9)


def test_delivering_owes_what_was_stored_in_silence_before(reader: Reader) -> None:
    shelf = Shelf(*history(9))
    reader.read(shelf)
    assert (reader.read(shelf, ALL).tally.owed, set(reader.fates.values())) == (9, {OWED})


def test_delivering_owes_what_polls_skipped_for_lying_before_start_at(reader: Reader) -> None:
    pile = Pile(*history(9), item("before", "resolved", AT - 2 * YEAR))
    reader.poll(pile)
    assert set(reader.fates.values()) == {("skipped", "before start_at")}
    reader.read(pile, ALL)
    fates = reader.fates
    assert (fates.pop(("before", 1)), set(fates.values())) == (("skipped", "before start_at"), {OWED})


def test_delivering_owes_no_state_that_a_later_one_has_overtaken(reader: Reader) -> None:
    shelf = Shelf(item("1", "new", AT - DAY))
    reader.read(shelf)
    shelf.rows = [item("1", "resolved", AT - DAY)]
    reader.read(shelf)
    reader.desk.deliver()
    reader.read(shelf, ALL)
    assert reader.fates == {("1", 1): SILENT, ("1", 2): ("delivered", None)}


def test_delivering_again_owes_nothing_twice(reader: Reader) -> None:
    shelf = Shelf(*history(9))
    reader.read(shelf, ALL)
    reader.desk.deliver()
    assert reader.read(shelf, ALL).tally.owed == 0
    assert set(reader.fates.values()) == {("delivered", None)}


def test_what_was_never_closed_expires_in_the_same_silence(reader: Reader) -> None:
    polled(reader)
    shelf = Shelf(
        item("old", "new", AT - 90 * DAY), item("young", "new", AT - 9 * DAY), item("closed", "resolved", AT - 90 * DAY)
    )
    reader.read(shelf)
    reader.poll(Shelf())
    fates = reader.fates
    assert set(fates.values()) == {SILENT}
    assert {row.external_id: row.status for row in reader.desk.rows(NotificationRow)} == {
        "old": "expired", "young": "new", "closed": "resolved",
    }  # fmt: skip


def test_what_expired_in_silence_is_no_change_when_it_is_read_again(reader: Reader) -> None:
    shelf = Shelf(item("old", "new", AT - 90 * DAY))
    reader.read(shelf)
    before = reader.fates
    tally = reader.read(shelf).tally
    assert (reader.fates, tally.changed, tally.unchanged > 0) == (before, 0, True)


@pytest.mark.parametrize("past", [Past(AT - YEAR), ALL])
def test_an_item_that_cant_be_normalised_is_kept_and_the_page_goes_on(reader: Reader, past: Past) -> None:
    tally = reader.read(Shelf({"at": (AT - DAY).isoformat()}, item("1", at=AT - DAY)), past).tally
    assert (tally.rejected > 0, tally.new, len(reader.desk.rows(RejectedRow))) == (True, 1, 1)
