"""What the configuration has words for and this version doesn't do: refused openly, never ignored.

The issue that brings a feature takes its row out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LATER: Mapping[tuple[str, ...], frozenset[str] | None] = {
    ("endpoints", "*", "format"): frozenset({"cloudevents"}),
    ("endpoints", "*", "signing"): frozenset({"ed25519"}),
    ("endpoints", "*", "backlog"): frozenset({"latest"}),
    ("metrics",): None,
}
"""Key path → the values that come later; None: the key as a whole."""


def too_early(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The key paths of a document that ask for what comes later, and what to say of each."""
    for pattern, values in LATER.items():
        for path, value in _found(document, pattern):
            if values is None:
                yield path, "this table is not in this version yet"
            elif isinstance(value, str) and value in values:
                yield path, f'"{value}" is not in this version yet'


def _found(value: Any, pattern: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not pattern:
        yield (), value
    elif isinstance(value, dict):
        for name in value if pattern[0] == "*" else [pattern[0]] if pattern[0] in value else []:
            for path, found in _found(value[name], pattern[1:]):
                yield (name, *path), found
