"""What commands print: a table for people, a JSON object a line for programs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.envelope import json_bytes

_WIDE = 240


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """The rows: all their keys as JSON lines, or these columns as a table."""
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(row.get(column))) for column in columns))
    console().print(table)


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        sys.stdout.write(json_line(row) + "\n")


def json_line(row: Mapping[str, Any]) -> str:
    """Compact JSON; lone surrogates, which providers may send, as escapes."""
    return json_bytes(row).decode()


def say(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(printable(line) + "\n")


def complain(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(printable(line) + "\n")


def console() -> Console:
    """Standard output for tables: as wide as the terminal, and wide enough where there is none."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def shown(value: object) -> str:
    """A cell's text. What a provider or a receiver sent can't steer the terminal."""
    match value:
        case None:
            return "–"
        case timedelta():
            return f"{value.total_seconds():.1f} s"
        case dict():
            return printable(", ".join(f"{name}: {member}" for name, member in value.items()) or "–")
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """The text without control characters, escape sequences among them."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
