from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.provider import Contract, Order, Paging, Window
from worker.rest.listing import Way, way

AT = datetime(2026, 3, 20, tzinfo=UTC)
PLAIN = Contract(
    paging=Paging.OFFSET, order=Order.UNKNOWN, filters_from=False, filters_to=False, page_size=100, by_id=False
)
EVERYTHING, SINCE, SPAN = Window(), Window(AT), Window(AT, AT)
BOTH = {"filters_from": True, "filters_to": True}
ASCENDING = {"filters_from": True, "order": Order.OLDEST_FIRST}


@pytest.mark.parametrize(
    ("contract", "window", "expected"),
    [
        ({"paging": Paging.NEXT_LINK, **BOTH}, SPAN, Way.LINKS),
        ({"paging": Paging.CURSOR, **BOTH}, SPAN, Way.CURSORS),
        ({"paging": Paging.CURSOR, "from_id": True, **BOTH}, SPAN, Way.IDS),
        (BOTH, SPAN, Way.WINDOWS),
        (BOTH, Window(end=AT), Way.WINDOWS),
        (BOTH, SINCE, Way.WINDOWS),
        (BOTH, EVERYTHING, Way.PAGES),
        ({"paging": Paging.PAGE_NUMBER, **BOTH}, SPAN, Way.WINDOWS),
        ({**BOTH, **ASCENDING}, SPAN, Way.WINDOWS),
        ({**BOTH, **ASCENDING}, SINCE, Way.ASCENDING),
        (ASCENDING, SINCE, Way.ASCENDING),
        (ASCENDING, EVERYTHING, Way.PAGES),
        ({"filters_from": True, "order": Order.NEWEST_FIRST}, SINCE, Way.PAGES),
        ({"order": Order.OLDEST_FIRST}, SINCE, Way.PAGES),
        ({}, EVERYTHING, Way.PAGES),
        ({"paging": Paging.NONE}, EVERYTHING, Way.PAGES),
        ({"paging": Paging.NONE, **BOTH}, EVERYTHING, Way.WINDOWS),
        ({"paging": Paging.NONE, **ASCENDING}, EVERYTHING, Way.ASCENDING),
    ],
)
def test_the_contract_chooses_how_a_window_is_read(contract: dict[str, Any], window: Window, expected: Way) -> None:
    assert way(replace(PLAIN, **contract), window) is expected
