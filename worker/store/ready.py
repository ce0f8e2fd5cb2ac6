"""Statements that are made once: to make one costs several times as much as to execute it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, CursorResult, Text, any_, bindparam, func, select
from sqlmodel import Session

from worker.store import batches

POSTGRESQL = "postgresql"


def execute(session: Session, made: Callable[[str], Any], **values: Any) -> CursorResult[Any]:
    """Execute what `made` made for this dialect, once and for all; values that are lists are meant for `one_of`."""
    connection = session.connection()
    dialect = connection.dialect.name
    if dialect != POSTGRESQL:
        values = {name: batches.listed(each) if isinstance(each, list) else each for name, each in values.items()}
    return connection.execute(made(dialect), values)


def one_of(dialect: str, which: Any, name: str) -> ColumnElement[bool]:
    """Whether the column is one of those in the list with that name: one parameter, however many they are."""
    if dialect == POSTGRESQL:
        found: ColumnElement[bool] = which == any_(bindparam(name, type_=ARRAY(which.type)))
        return found
    each = func.json_each(bindparam(name, type_=Text())).table_valued("value")
    listed: ColumnElement[bool] = which.in_(select(each.c.value))
    return listed
