"""Lists as one parameter."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from sqlmodel import col, select

from worker.store import endpoints, ready
from worker.store.session import Database
from worker.store.tables import EndpointRow

NAMES = ["erp", 'e"r"p', "e\\r\\p", "e,r{p}", " erp ", "NULL", "é'p", ""]


@cache
def named(dialect: str) -> Any:
    which = ready.one_of(dialect, col(EndpointRow.name), "names")
    return select(col(EndpointRow.name)).where(which).order_by(col(EndpointRow.id))


@pytest.mark.parametrize("wanted", [[name] for name in NAMES] + [NAMES, []])
def test_a_text_in_a_list_is_found_whatever_signs_it_has(database: Database, wanted: list[str]) -> None:
    with database.transaction() as session:
        for name in NAMES:
            endpoints.register(session, name, datetime(2026, 3, 20, tzinfo=UTC))
        assert ready.execute(session, named, names=wanted).scalars().all() == wanted
