"""How problems are worded: one line, short, and what to write instead."""

import difflib
import json
from collections.abc import Collection, Iterable

_LONGEST = 60


def quoted(value: object) -> str:
    """A value of the file as a person wrote it, on one line and not endless. Never for a field that holds a secret."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float) else str(value)
    return one_line(text if len(text) <= _LONGEST else text[:_LONGEST] + '…"')


def one_line(text: str) -> str:
    """The text without line breaks of any kind."""
    return " ".join(text.splitlines())


def either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def close_to(word: str, known: Collection[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)
