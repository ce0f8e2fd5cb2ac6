"""Many rows in one statement: as one JSON parameter on PostgreSQL, as bare values on SQLite (DESIGN, rule 9).

A statement for each row costs ten times as much there, and so does an ORM's way with values here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Column,
    ColumnClause,
    ColumnElement,
    Connection,
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
_Columns = Mapping[str, Sequence[Any]]
_MADE = 256
"""Statements that are kept; of those that tell some things once, one for each set of what rows have in common."""


def put(
    session: Session,
    model: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    settled: Settled,
    alike: Collection[str] = (),
) -> None:
    """Insert these rows, in their order; all have the same columns. `settled` is a function of a module.

    Bytes are a text in UTF-8, as sealed ones are. `alike`: columns of which all rows may well have the same; PostgreSQL
    is told that once. Raises what the database does, and ValueError for text that is no Unicode, and for an instant
    without a zone or in no year of UTC.
    """
    connection, names = session.connection(), tuple(rows[0])
    if connection.dialect.name == "postgresql":
        columns, same = _parted(rows, alike) if alike else (rows[0], {})
        made = _from_json(model, tuple(columns), tuple(same), settled)
        connection.execute(made, {"rows": _objects(model, columns) if same else as_json(model, rows), **_shared(same)})
        return
    _write_bare(connection, rows, *_of_values(model, names, settled))


def _parted(rows: Sequence[Mapping[str, Any]], alike: Collection[str]) -> tuple[_Columns, Mapping[str, Any]]:
    """The columns in which rows differ; of those that may be alike, what all rows have."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    same = {name: columns[name][0] for name in alike if columns[name].count(columns[name][0]) == len(rows)}
    return {name: values for name, values in columns.items() if name not in same}, same


def _shared(same: Mapping[str, Any]) -> Mapping[str, Any]:
    """As parameters. Raises ValueError as `_instant` does."""
    for value in same.values():
        if isinstance(value, datetime):
            _instant(value)
    return {f"all_{name}": value for name, value in same.items()}


def _for_all(table: Any, same: Sequence[str]) -> Mapping[str, ColumnElement[Any]]:
    return {name: bindparam(f"all_{name}", type_=table.c[name].type) for name in same}


@lru_cache(maxsize=_MADE)
def _from_json(model: type[SQLModel], names: tuple[str, ...], same: tuple[str, ...], settled: Settled) -> Any:
    table = _table(model)
    rows = _recordset(*(column(name, Text() if _is_binary(table.c[name]) else table.c[name].type) for name in names))
    read = [func.convert_to(rows[name], "UTF8") if _is_binary(table.c[name]) else rows[name] for name in names]
    shared = _for_all(table, same)
    return settled(postgresql.insert(table).from_select([*names, *shared], select(*read, *shared.values())))


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


def _hex(value: UUID | str) -> str:
    """A text has no dashes."""
    return value if isinstance(value, str) else value.hex


_BARE: Mapping[type, Callable[[Any], str]] = {datetime: _instant, UUID: _hex}
"""How SQLite has what it has no type for; as SQLAlchemy reads it."""


def change(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *cleared: str) -> None:
    """Update each of these rows by its `id`; all have the same columns. Those that are `cleared` become null.

    A UUID may be its text without dashes.

    What all rows come to, as a status, PostgreSQL is told once. SQLite would do the whole batch in one statement over
    JSON as quickly, but with statistics from when the table was small it would look through all of it for each row.
    """
    connection, names = session.connection(), tuple(rows[0])
    if connection.dialect.name == "postgresql":
        columns, same = _parted(rows, [name for name in names if name != "id"])
        made = _changes_from_json(model, tuple(columns), tuple(same), cleared)
        connection.execute(made, {"rows": _objects(model, columns), **_shared(same)})
        return
    _write_bare(connection, rows, *_changes_of_values(model, names, cleared))


def _write_bare(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    statement: str,
    in_order: Sequence[str],
    kinds: _Bare,
) -> None:
    connection.exec_driver_sql(statement, _written(rows, in_order, kinds))


@lru_cache(maxsize=_MADE)
def _changes_from_json(
    model: type[SQLModel], names: tuple[str, ...], same: tuple[str, ...], cleared: tuple[str, ...]
) -> Any:
    table = _table(model)
    given = _recordset(*(column(name, table.c[name].type) for name in names))
    its = {name: given[name] for name in names if name != "id"}
    changed = {**its, **_for_all(table, same), **dict.fromkeys(cleared, null())}
    return update(table).where(table.c.id == given["id"]).values(changed)


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


def _recordset(*columns: ColumnClause[Any]) -> Mapping[str, ColumnElement[Any]]:
    parameter = cast(bindparam("rows", type_=Text()), JSONB)
    rows = func.jsonb_to_recordset(parameter).table_valued(*columns, name="given").render_derived(with_types=True)
    return {each.name: rows.c[each.name] for each in columns}


def _objects(model: type[SQLModel], columns: _Columns) -> str:
    return as_json(model, [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])


def listed(values: Sequence[Any]) -> str:
    """Values as SQLite's json_each takes them, written as their columns have them."""
    return orjson.dumps([bare(value) for value in values]).decode()
