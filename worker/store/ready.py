"""Statements that are made once: to make one costs several times as much as to execute it."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, CursorResult, Text, any_, bindparam, cast, func, select, type_coerce
from sqlalchemy.types import TypeEngine
from sqlmodel import Session

from worker.store import batches

POSTGRESQL = "postgresql"
_HEX = 32


def execute(session: Session, made: Callable[[str], Any], **values: Any) -> CursorResult[Any]:
    """Execute what `made` made for this dialect, once and for all; values that are lists are meant for `one_of`."""
    connection = session.connection()
    dialect = connection.dialect.name
    listed = _array if dialect == POSTGRESQL else batches.listed
    given = {name: listed(each) if isinstance(each, list) else each for name, each in values.items()}
    return connection.execute(made(dialect), given)


def one_of(dialect: str, which: Any, name: str) -> ColumnElement[bool]:
    """Whether the column is one of those in the list with that name: one parameter, however many they are."""
    if dialect == POSTGRESQL:
        found: ColumnElement[bool] = which == any_(array(name, which.type))
        return found
    each = func.json_each(bindparam(name, type_=Text())).table_valued("value")
    listed: ColumnElement[bool] = which.in_(select(each.c.value))
    return listed


def as_text(dialect: str, which: Any) -> ColumnElement[str]:
    """A column of UUIDs as the database has them in a text; `dashed` makes it the usual one.

    A UUID made of each, to be written as a text at once, takes five times as long.
    """
    return cast(which, Text()) if dialect == POSTGRESQL else type_coerce(which, Text())


def dashed(text: str) -> str:
    """A UUID's text, as everybody else writes it."""
    if len(text) != _HEX:
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def undashed(text: str) -> str:
    """A UUID's text, as every database reads it."""
    return text.replace("-", "")


def array(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """The list with that name, on PostgreSQL."""
    return cast(bindparam(name, type_=Text()), ARRAY(kind))


def _array(values: Sequence[Any]) -> str:
    """As PostgreSQL reads an array in a text; as an array of its own, psycopg takes 1 to 3 µs for each value."""
    texts = (_quoted(value) for value in values) if values and isinstance(values[0], str) else map(str, values)
    return f"{{{','.join(texts)}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
