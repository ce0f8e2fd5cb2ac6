"""Many rows in one statement: as one JSON parameter on PostgreSQL, as bare values on SQLite (DESIGN, rule 9).

A statement for each row costs ten times as much there, and so does an ORM's way with values here.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Text,
    bindparam,
    cast,
    column,
    func,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Session, SQLModel

Settled = Callable[[Any], Any]
"""What an INSERT does about a row that is there already: it, with its ON CONFLICT."""

_Bare = Sequence[tuple[int, Callable[[Any], str]]]


def put(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], settled: Settled) -> None:
    """Insert these rows, in their order; all have the same columns. `settled` is a function of a module.

    Bytes are a text in UTF-8, as sealed ones are. Raises what the database does, and ValueError for text that is no
    Unicode, and for an instant without a zone or in no year of UTC.
    """
    _write(session, model, rows, partial(_from_json, settled=settled), partial(_of_values, settled=settled))


@cache
def _from_json(model: type[SQLModel], names: tuple[str, ...], settled: Settled) -> Any:
    table = _table(model)
    columns = [table.c[name] for name in names]
    given = func.jsonb_to_recordset(cast(bindparam("rows", type_=Text()), JSONB)).table_valued(
        *(column(each.name, Text() if _is_binary(each) else each.type) for each in columns), name="given"
    )
    rows = given.render_derived(with_types=True)
    read = [func.convert_to(rows.c[each.name], "UTF8") if _is_binary(each) else rows.c[each.name] for each in columns]
    return settled(postgresql.insert(table).from_select(list(names), select(*read)))


@cache
def _of_values(model: type[SQLModel], names: tuple[str, ...], settled: Settled) -> tuple[str, Sequence[str], _Bare]:
    """The statement, the names of its parameters in their order, and those that are written in another way."""
    table = _table(model)
    made = settled(sqlite.insert(table)).compile(dialect=sqlite.dialect(), column_keys=list(names))
    return str(made), made.positiontup, _bare_ones(table, made.positiontup)


def _bare_ones(table: Any, names: Sequence[str]) -> _Bare:
    kinds = [_kind(table.c[name]) for name in names]
    return [(at, _BARE[kind]) for at, kind in enumerate(kinds) if kind in _BARE]


def _table(model: type[SQLModel]) -> Any:
    return model.__table__  # type: ignore[attr-defined]


def _kind(of: Column[Any]) -> type:
    kind: TypeEngine[Any] = of.type
    return (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type


def _is_binary(each: Column[Any]) -> bool:
    return isinstance(each.type, LargeBinary)


def as_json(model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as PostgreSQL is given them; all have the same members, and those that are no columns are what JSON has.

    Instants in UTC as orjson has them, which is quickest. It would take one without a zone, and round an offset.
    """
    dates = _dates(model, tuple(rows[0]))
    as_they_are = all((at := row[name]) is None or at.tzinfo is UTC for name in dates for row in rows)
    try:
        return orjson.dumps(rows, _text, None if as_they_are else orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError as error:
        raise ValueError(str(error.__cause__ or error)) from None


@cache
def _dates(model: type[SQLModel], names: tuple[str, ...]) -> Sequence[str]:
    table = _table(model)
    return [name for name in names if name in table.c and _kind(table.c[name]) is datetime]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime):
        return f"{_instant(value)}Z"
    raise TypeError(f"{type(value).__name__} is no value of a column")


def _written(rows: Sequence[Mapping[str, Any]], in_order: Sequence[str], bare: _Bare) -> list[tuple[Any, ...]]:
    """The rows' values; a column after another, which is quicker than a row after another."""
    columns: list[Sequence[Any]] = list(zip(*map(itemgetter(*in_order), rows), strict=True))
    for at, written in bare:
        columns[at] = [None if value is None else written(value) for value in columns[at]]
    return list(zip(*columns, strict=True))


def bare(value: Any) -> Any:
    """A value as SQLite has it."""
    written = _BARE.get(type(value))
    return written(value) if written else value


@lru_cache(maxsize=1024)  # most of a page's rows are made at one instant, and each has its own twice or more
def _instant(value: datetime) -> str:
    if value.tzinfo is not UTC:
        if value.utcoffset() is None:
            raise ValueError("an instant has no zone")
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise ValueError("an instant is in no year of UTC") from None
    return value.isoformat(" ", "microseconds")[:26]


_BARE: Mapping[type, Callable[[Any], str]] = {datetime: _instant, UUID: lambda value: value.hex}
"""How SQLite has what it has no type for; as SQLAlchemy reads it."""


def change(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *cleared: str) -> None:
    """Update each of these rows by its `id`; all have the same columns. Those that are `cleared` become null."""
    _write(
        session, model, rows, partial(_changes_from_json, cleared=cleared), partial(_changes_of_values, cleared=cleared)
    )


def _write(
    session: Session,
    model: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    from_json: Callable[[type[SQLModel], tuple[str, ...]], Any],
    of_values: Callable[[type[SQLModel], tuple[str, ...]], tuple[str, Sequence[str], _Bare]],
) -> None:
    """By the statement that is made of the model and the names of its columns, of which all rows have the same."""
    connection, names = session.connection(), tuple(rows[0])
    if connection.dialect.name == "postgresql":
        connection.execute(from_json(model, names), {"rows": as_json(model, rows)})
        return
    statement, in_order, bare = of_values(model, names)
    connection.exec_driver_sql(statement, _written(rows, in_order, bare))


def listed(values: Sequence[Any]) -> str:
    """Values as SQLite's json_each takes them, written as their columns have them."""
    return orjson.dumps([bare(value) for value in values]).decode()


@cache
def _changes_from_json(model: type[SQLModel], names: tuple[str, ...], cleared: tuple[str, ...]) -> Any:
    table = _table(model)
    parameter = cast(bindparam("rows", type_=Text()), JSONB)
    columns = (column(name, table.c[name].type) for name in names)
    rows = func.jsonb_to_recordset(parameter).table_valued(*columns, name="given").render_derived(with_types=True)
    given = {name: rows.c[name] for name in names if name != "id"}
    changed = {**given, **dict.fromkeys(cleared, null())}
    return update(table).where(table.c.id == rows.c.id).values(changed)


@cache
def _changes_of_values(
    model: type[SQLModel], names: tuple[str, ...], cleared: tuple[str, ...]
) -> tuple[str, Sequence[str], _Bare]:
    """As `_of_values`."""
    table = _table(model)
    given: dict[str, ColumnElement[Any]] = {name: bindparam(f"to_{name}") for name in names if name != "id"}
    changed = {**given, **dict.fromkeys(cleared, null())}
    compiled = update(table).where(table.c.id == bindparam("to_id")).values(changed).compile(dialect=sqlite.dialect())
    in_order = [name.removeprefix("to_") for name in compiled.positiontup or ()]
    return str(compiled), in_order, _bare_ones(table, in_order)
