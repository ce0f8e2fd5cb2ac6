"""What is kept of rows that are stored already: enough to go on paging, a fraction of the memory. Pure."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from worker.rest.trail import Key, Reading

T = TypeVar("T")


class Seen(NamedTuple):
    """A row by its id and its time."""

    name: str
    at: datetime | None


def lightly(key: Key, when: Callable[[Any], datetime | None] | None, reading: Reading) -> Reading:
    """The reading with what paging needs of its rows; `when` None: no times. One without an id stays as it is."""
    rows = [row if (name := key(row)) is None else Seen(name, when(row) if when else None) for row in reading.rows]
    return replace(reading, rows=rows)


def of_seen(read: Callable[[Any], T], what: str) -> Callable[[Any], T]:
    """`read` for rows and for those that were seen before."""
    return lambda row: getattr(row, what) if isinstance(row, Seen) else read(row)
