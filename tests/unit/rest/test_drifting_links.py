from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.errors import ContractBroken
from worker.rest.paging import Reading, next_cursor, next_link

Make = Callable[..., Any]
START = "https://api.example/things?page=1"
REMOVAL = st.tuples(st.just("remove"), st.floats(0, 1))


def by_link(served: Any, size: int) -> Callable[[str], Reading]:
    """The list in numbered pages that links lead to."""

    def read(address: str) -> Reading:
        number = int(address.rpartition("=")[2])
        reading: Reading = served.by_number(number, size)
        return Reading(rows=reading.rows, next=f"?page={number + 1}" if reading.more else None)

    return read


@given(count=st.integers(0, 40), changes=st.lists(st.lists(REMOVAL, max_size=3), max_size=30), size=st.integers(1, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_row_that_stays_is_lost_where_links_hold_page_numbers(
    model: Make, count: int, changes: Any, size: int
) -> None:
    served = model(count, changes=changes)

    pages = list(next_link(by_link(served, size), START, lambda row: row["id"], drifts=True))

    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert served.missed(pages) == []


def test_rows_that_vanish_above_are_one_repair(model: Make) -> None:
    served = model(30, changes=[[("remove", 0.0)] * 3])

    pages = list(next_link(by_link(served, 10), START, lambda row: row["id"], drifts=True))

    assert (served.missed(pages), sum(page.repairs for page in pages)) == ([], 1)


def test_cursors_are_followed_to_the_page_that_gives_none() -> None:
    pages = {
        None: Reading(rows=[{"id": "1"}], next="b"),
        "b": Reading(rows=[], next="c"),
        "c": Reading(rows=[{"id": "2"}]),
    }

    read = list(next_cursor(pages.__getitem__, lambda row: row["id"]))

    assert [(page.items, page.last) for page in read] == [([{"id": "1"}], False), ([], False), ([{"id": "2"}], True)]


def test_a_cursor_that_was_used_before_is_a_broken_contract() -> None:
    pages = {None: Reading(rows=[{"id": "1"}], next="b"), "b": Reading(rows=[{"id": "2"}], next="b")}

    with pytest.raises(ContractBroken, match="read before"):
        list(next_cursor(pages.__getitem__, lambda row: row["id"]))
