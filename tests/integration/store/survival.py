"""What a migration does to the schema that the version before is at work on, by looking at it before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Inspector, inspect

from worker.store.session import Database

_OWN = "tocsin_schema"


@dataclass(frozen=True, slots=True)
class Shape:
    """All tables as they are: by name, columns, what must be unique, what else is demanded of a row, indexes."""

    columns: dict[str, dict[str, dict[str, Any]]]
    unique: dict[str, set[str]]
    demands: dict[str, set[str]]
    indexes: dict[str, set[str]]


def shape(database: Database) -> Shape:
    """The shape of a database."""
    found = inspect(database.engine)
    tables = [name for name in found.get_table_names() if name != _OWN]
    return Shape(
        {name: {each["name"]: dict(each) for each in found.get_columns(name)} for name in tables},
        {name: set(_unique(found, name)) for name in tables},
        {name: set(_demands(found, name)) for name in tables},
        {name: {str(each["name"]) for each in found.get_indexes(name)} for name in tables},
    )


def _unique(found: Inspector, table: str) -> Iterator[str]:
    yield f"{found.get_pk_constraint(table)['constrained_columns']}"
    for each in found.get_unique_constraints(table):
        yield f"{each['column_names']}"
    for index in found.get_indexes(table):
        if index["unique"]:
            yield f"{index['column_names']}"


def _demands(found: Inspector, table: str) -> Iterator[str]:
    for check in found.get_check_constraints(table):
        yield f"check {check['sqltext']}"
    for key in found.get_foreign_keys(table):
        yield f"{key['constrained_columns']} in {key['referred_table']}"


def broken(before: Shape, after: Shape) -> list[str]:
    """What processes that know only the schema before may not survive; nothing, where it was only expanded."""
    return [
        line
        for table in before.columns
        for line in (_in_table(table, before, after) if table in after.columns else [f"{table} is gone"])
    ]


def _in_table(table: str, before: Shape, after: Shape) -> Iterator[str]:
    known, now = before.columns[table], after.columns[table]
    for name, column in known.items():
        if name not in now:
            yield f"{table}.{name} is gone"
        elif str(now[name]["type"]) != str(column["type"]):
            yield f"{table}.{name} has another type"
        elif now[name]["nullable"] != column["nullable"]:
            yield f"{table}.{name} may be null, or not, as it was not before"
        elif column["default"] and not now[name]["default"]:
            yield f"{table}.{name} has no default any more"
    for name in now.keys() - known.keys():
        if not now[name]["nullable"] and now[name]["default"] is None:
            yield f"{table}.{name} is demanded of rows that don't know it"
    yield from (f"{table} demands that {each} is unique" for each in after.unique[table] - before.unique[table])
    yield from (f"{table} no longer has {each} unique" for each in before.unique[table] - after.unique[table])
    yield from (
        f"{table} demands: {each}" for each in after.demands[table] - before.demands[table] if _old(each, known)
    )
    yield from (f"{table} has lost the index {each}" for each in before.indexes[table] - after.indexes[table])


def _old(demand: str, known: dict[str, Any]) -> bool:
    """A foreign key of a new column concerns nobody who doesn't write it; any other demand may."""
    return demand.startswith("check ") or any(f"'{name}'" in demand for name in known)
