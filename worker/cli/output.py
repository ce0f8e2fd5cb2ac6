"""What commands print: a table for people, a JSON object a line for programs."""

import codecs
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WIDE = 1_000_000
"""Columns: a row is one line, so that an id stays in one piece; a narrow terminal breaks the line by itself."""

ESCAPED = "tocsin.escaped"
"""How letters are written that an encoding lacks: as JSON's escapes, so that JSON stays JSON."""


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(ESCAPED, _escaped)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """The rows: all their keys as JSON lines, or these columns as a table."""
    if as_json:
        print_json(rows)
        return
    _print_table(rows, columns)


def _print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  # not loaded for JSON, nor for those who only say a line
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(shown(row.get(column))) for column in columns))
    screen = Console(width=_WIDE, highlight=False)
    with screen.capture() as drawn:
        screen.print(table)
    for line in drawn.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        sys.stdout.write(json_line(row) + "\n")


def json_line(row: Mapping[str, Any]) -> str:
    """Compact JSON; what a terminal would obey or could not show, and what some take for line breaks, as escapes."""
    from worker.envelope import json_bytes  # noqa: PLC0415  # as a table is

    line = json_bytes(row).decode()
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in line)


def say(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(printable(line) + "\n")


def complain(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(printable(line) + "\n")


def shown(value: object) -> str:
    """A cell's text. What a provider or a receiver sent can't steer the terminal."""
    match value:
        case None:
            return "–"
        case dict():
            return printable(", ".join(f"{name}: {shown(member)}" for name, member in value.items()) or "–")
        case list():
            return "; ".join(shown(member) for member in value) or "–"
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """The text without control characters, escape sequences among them."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
