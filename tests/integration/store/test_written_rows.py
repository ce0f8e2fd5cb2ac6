"""Rows that are put in batches come back as they were, whatever their columns hold."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Table
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

from tests.fakes import AT, item
from tests.integration.store.desk import Desk
from worker.store.batches import change, put
from worker.store.tables import Attempt, EndpointRow, Message, NotificationRow

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ZONES = st.integers(-14 * 3600, 14 * 3600).map(lambda seconds: timezone(timedelta(seconds=seconds)))
SPAN = [datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1000, 9000)]
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**31), 2**31 - 1),
    bool: st.booleans(),
    UUID: st.uuids(),
    bytes: TEXT.map(str.encode),
    datetime: st.datetimes(*SPAN, timezones=st.just(UTC) | ZONES),
}


def rows(model: type[SQLModel], **fixed: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Rows with anything in every column that is not fixed, and null where that may be."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    columns = {column.name: VALUES[_kind(column)] for column in table.columns if column.name not in fixed}
    nullable = {column.name for column in table.columns if column.nullable}
    anything = {name: values | st.none() if name in nullable else values for name, values in columns.items()}
    return st.fixed_dictionaries(anything).map(lambda row: row | fixed)


def _kind(column: Column[Any]) -> type:
    kind = column.type
    return (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type


def as_given(insert: Any) -> Any:
    return insert


def written(desk: Desk, model: type[SQLModel], row: Mapping[str, Any]) -> dict[str, Any]:
    """What the database has of it, in a transaction that comes to nothing."""
    with desk.database.transaction() as session:
        put(session, model, [row], as_given)
        found = session.get(model, row["id"])
        assert found is not None
        kept = found.model_dump()
        session.rollback()
    return kept


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows(NotificationRow, source_id=1))
def test_a_notification_is_written_as_it_is_given(desk: Desk, row: dict[str, Any]) -> None:
    assert written(desk, NotificationRow, row) == row


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows(Message, source_id=1, notification_id=None))
def test_a_message_is_written_as_it_is_given(desk: Desk, row: dict[str, Any]) -> None:
    assert written(desk, Message, row) == row


NO_ZONE = datetime(2020, 1, 1)  # noqa: DTZ001  # that is the point
NO_YEAR = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))


@pytest.mark.parametrize(("at", "reason"), [(NO_ZONE, "has no zone"), (NO_YEAR, "in no year of UTC")])
@pytest.mark.parametrize("write", [partial(put, settled=as_given), change])
def test_an_instant_that_is_none_in_utc_is_refused(
    desk: Desk, write: Callable[..., None], at: datetime, reason: str
) -> None:
    rest = {"followed": False, "absences": 0}
    rows = [{"id": UUID(int=1), "delivered_at": AT, **rest}, {"id": UUID(int=2), "delivered_at": at, **rest}]
    with desk.database.transaction() as session, pytest.raises(ValueError, match=reason):
        write(session, NotificationRow, rows)


def test_an_instant_that_all_rows_share_is_refused_too(desk: Desk) -> None:
    rows = [{"id": UUID(int=number), "delivered_at": NO_ZONE} for number in (1, 2)]
    with desk.database.transaction() as session, pytest.raises(ValueError, match="has no zone"):
        change(session, NotificationRow, rows)


LATER = AT + timedelta(microseconds=1)
APART = [
    {"id": 1, "reason": "b", "due_at": None, "probe_at": AT},
    {"id": 2, "reason": "c", "due_at": LATER, "probe_at": LATER},
]
SHARED = [{**row, "reason": "both", "probe_at": LATER} for row in APART]


@pytest.mark.parametrize("rows", [APART, SHARED, APART[1:]])
def test_each_row_becomes_what_is_given_of_it(desk: Desk, rows: list[dict[str, Any]]) -> None:
    for name in ("erp", "crm"):
        desk.endpoint(name)
    with desk.database.transaction() as session:
        change(session, EndpointRow, rows, "disabled_at")
    with desk.database.reading() as session:
        found = [session.get_one(EndpointRow, row["id"]).model_dump() for row in rows]
    assert [{name: row[name] for name in APART[0]} for row in found] == rows


SAME = {"number": 1, "trigger": "first", "started_at": AT, "duration_ms": 3, "outcome": "answered", "status_code": 204}


@pytest.mark.parametrize("second", [{}, {"number": 2, "status_code": None, "response_excerpt": "no"}])
def test_what_rows_have_in_common_is_put_with_each(desk: Desk, second: dict[str, Any]) -> None:
    desk.source()
    desk.endpoint("erp")
    desk.store(item("n1"))
    (delivery,) = (row.id for row in desk.deliveries())
    rows = [{"id": number, "delivery_id": delivery, "response_excerpt": None, **SAME} for number in (1, 2)]
    rows[1] |= second
    with desk.database.transaction() as session:
        put(session, Attempt, rows, as_given, ("number", "trigger", "status_code", "response_excerpt"))
    with desk.database.reading() as session:
        assert [session.get_one(Attempt, row["id"]).model_dump() for row in rows] == rows
