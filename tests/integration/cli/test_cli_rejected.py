from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.cli.desk import Desk
from worker import operations
from worker.errors import LeaseLost
from worker.notification import RejectedItem, rfc3339
from worker.sandbox import PATH, Sandbox
from worker.store import fates, rejected, shown, sources
from worker.store.shown import Filter
from worker.wiring import House

REJECTED = {"id", "source", "reason", "first_seen_at", "last_seen_at", "count", "raw"}
WITHOUT_ID = {"type": "notification", "attributes": {"name": "mapping_required"}}


def keep(desk: Desk, *items: Any, source: str = "bookkeep") -> None:
    """As an older version would have kept them that did not yet understand them."""
    with desk.house() as house, house.database.transaction() as session:
        source_id = fates.of_sources(session)[source].row.id or 0
        rejected.keep(session, source_id, [RejectedItem(item, "not understood yet") for item in items], house.clock())


def good(sandbox: Sandbox) -> Any:
    """An item that can be normalised."""
    return sandbox.publish(1, "bookkeep")[0].raw


def good_ones(count: int) -> list[Any]:
    """So many items that can be normalised."""
    at = "2026-03-20T12:00:00Z"
    return [
        {"id": str(number), "type": "notification", "attributes": {"name": "mapping_required", "created_at": at}}
        for number in range(count)
    ]


def rejected_count(house: House) -> int:
    with house.database.reading() as session:
        return len(shown.rejected(session, Filter(limit=1000)))


@pytest.fixture
def spoilt(configured: Desk, sandbox: Sandbox) -> Desk:
    """A source whose provider once sent an item without an id."""
    sandbox.bookkeep.ledger.publish("1", WITHOUT_ID)
    configured.tocsin("poll", "bookkeep")
    return configured


def test_a_rejected_item_is_listed_with_its_reason_and_as_it_was_sent(spoilt: Desk) -> None:
    row = spoilt.tocsin("rejected", "list", "--json").row
    assert row.keys() >= REJECTED
    expected = {"source": "bookkeep", "reason": "it has no usable id", "count": 1, "raw": WITHOUT_ID}
    assert {key: row[key] for key in expected} == expected


def test_an_item_that_is_rejected_again_is_counted(spoilt: Desk) -> None:
    spoilt.tocsin("poll", "bookkeep")
    row = spoilt.tocsin("rejected", "list", "--json").row
    assert (row["count"], row["first_seen_at"] < row["last_seen_at"]) == (2, True)


def test_the_table_of_rejected_items_says_why(spoilt: Desk) -> None:
    said = spoilt.tocsin("rejected", "list")
    assert (said.code, "it has no usable id" in said.out, len(said.out.splitlines())) == (0, True, 2)


def test_rejected_items_are_filtered_and_limited_newest_first(configured: Desk) -> None:
    keep(configured, 1, 2, 3)
    keep(configured, 4, source="govapp")
    rows = {
        words: [row["raw"] for row in configured.tocsin("rejected", "list", "--json", *words).rows]
        for words in [(), ("--source", "bookkeep"), ("--limit", "2"), ("--limit", "0")]
    }
    assert list(rows.values()) == [[4, 3, 2, 1], [3, 2, 1], [4, 3], [4, 3, 2, 1]]


def test_retry_of_what_still_does_not_fit_keeps_it_and_exits_1(spoilt: Desk) -> None:
    said = spoilt.tocsin("rejected", "retry")
    assert (said.code, said.out) == (1, "0 stored, 1 still rejected\n")
    assert len(spoilt.tocsin("rejected", "list", "--json").rows) == 1


def test_retry_stores_and_owes_what_fits_by_now(configured: Desk, sandbox: Sandbox) -> None:
    item = good(sandbox)
    keep(configured, item)
    said = configured.tocsin("rejected", "retry")
    assert (said.code, said.out) == (0, "1 stored, 0 still rejected\n")
    assert configured.tocsin("rejected", "list", "--json").rows == []
    assert configured.tocsin("notifications", "list", "--json").row["raw"] == item
    configured.deliver()
    assert [one.content["type"] for one in sandbox.receiver.received(PATH)] == ["notification.created"]


def test_what_was_stored_by_retry_is_nothing_new_to_the_next_poll(configured: Desk, sandbox: Sandbox) -> None:
    keep(configured, good(sandbox))
    configured.tocsin("rejected", "retry")
    row = configured.tocsin("poll", "bookkeep", "--json").row
    assert (row["new"], row["changed"], row["unchanged"]) == (0, 0, 1)


def test_retry_of_some_good_and_some_bad_stores_the_good(configured: Desk, sandbox: Sandbox) -> None:
    keep(configured, WITHOUT_ID, good(sandbox), "no object")
    said = configured.tocsin("rejected", "retry", "--source", "bookkeep")
    assert (said.code, said.out) == (1, "1 stored, 2 still rejected\n")


def test_retry_of_one_source_leaves_the_others(configured: Desk, sandbox: Sandbox) -> None:
    keep(configured, good(sandbox))
    assert configured.tocsin("rejected", "retry", "--source", "govapp").out == "0 stored, 0 still rejected\n"
    assert len(configured.tocsin("rejected", "list", "--json").rows) == 1


def test_retry_of_a_source_that_is_being_polled_says_so_and_holds_up_no_other(
    configured: Desk, sandbox: Sandbox
) -> None:
    keep(configured, good(sandbox))
    keep(configured, {"id": "n1", "status": "CREATED", "createdOn": rfc3339(sandbox.clock())}, source="govapp")
    with configured.house() as house, house.database.transaction() as session:
        sources.acquire(session, "bookkeep", house.clock(), only_due=False)
    said = configured.tocsin("rejected", "retry")
    expected = ["bookkeep: another process is polling it"]
    assert (said.code, said.out, said.complaints) == (1, "1 stored, 0 still rejected\n", expected)


def test_where_nothing_was_rejected_retry_does_not_look_like_a_poll(configured: Desk) -> None:
    said = configured.tocsin("rejected", "retry")
    rows = configured.tocsin("sources", "list", "--json").rows
    assert (said.code, said.out, [row["last_poll_at"] for row in rows]) == (
        0,
        "0 stored, 0 still rejected\n",
        [None] * 3,
    )


def test_retry_does_not_keep_the_source_from_being_polled(configured: Desk, sandbox: Sandbox) -> None:
    keep(configured, good(sandbox), WITHOUT_ID)
    configured.tocsin("rejected", "retry")
    assert configured.tocsin("poll", "bookkeep").code == 0


def test_retry_is_no_poll(configured: Desk, sandbox: Sandbox) -> None:
    keep(configured, good(sandbox), WITHOUT_ID)
    configured.tocsin("rejected", "retry")
    assert [row["last_poll_at"] for row in configured.tocsin("sources", "list", "--json").rows] == [None] * 3


def test_retry_of_many_commits_a_hundred_at_a_time(configured: Desk) -> None:
    keep(configured, *good_ones(250), WITHOUT_ID)
    left: list[int] = []
    with configured.house() as watching:

        def clock() -> datetime:
            left.append(rejected_count(watching))
            return datetime.now(UTC)

        with configured.house(clock) as house:
            assert operations.retry_rejected(house, "bookkeep") == (250, 1)
        assert sorted(set(left), reverse=True) == [251, 151, 51, 1]


def test_retry_that_loses_its_lease_keeps_what_it_committed_and_writes_no_more(configured: Desk) -> None:
    keep(configured, *good_ones(150))
    began = datetime.now(UTC)
    with configured.house() as watching:

        def clock() -> datetime:
            """As where the first hundred took longer than a lease lasts."""
            return began if rejected_count(watching) == 150 else began + sources.LEASE_FOR

        with configured.house(clock) as house, pytest.raises(LeaseLost):
            operations.retry_rejected(house, "bookkeep")
        assert rejected_count(watching) == 50


def test_retry_of_an_unknown_source_exits_2(configured: Desk) -> None:
    said = configured.tocsin("rejected", "retry", "--source", "nobody")
    assert (said.code, said.complaints[0].startswith('"nobody" is not a source; known: ')) == (2, True)
