"""Realtime Register's filters and orders over rows of JSON (PROVIDERS 1.3). Pure; written from the listing's page."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.sandbox.instants import parsed

Raw = Mapping[str, Any]


class Violated(ValueError):
    """A parameter that the API refuses, with what it says of it."""

    def __init__(self, name: str, message: str, value: str) -> None:
        super().__init__(name)
        self.violation = {"field": name, "message": message, "value": value}


def _number(text: object) -> int:
    return int(str(text))


def _instant(text: object) -> datetime:
    at = parsed(text)
    if at is None:
        raise ValueError("must be a timestamp")
    return at


FIELDS: Mapping[str, Callable[[object], Any]] = {
    "id": _number,
    **dict.fromkeys(("fireDate", "readDate", "acknowledgeDate"), _instant),
    **dict.fromkeys(("message", "reason", "eventType", "notificationType"), str),
}
"""The fields that can be filtered and ordered by, with the reading of their type."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TEXTUAL: Mapping[str, bool] = {"like": True, "not_like": False}
_LISTS: Mapping[str, bool] = {"in": True, "not_in": False}
_PRESENCE: Mapping[str, bool] = {"null": True, "not_null": False}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on one field. An absent value satisfies none but `null`, as in SQL."""

    name: str
    operator: str
    operand: str

    def admits(self, raw: Raw) -> bool:
        """Whether the row stays in the answer. Raises Violated for an operand of the wrong type."""
        value = value_of(raw, self.name)
        if self.operator in _PRESENCE:
            return (value is None) is _PRESENCE[self.operator]
        if self.operator in _LISTS:
            wanted = [self._read(part) for part in self.operand.split(",")]
            return value is not None and (value in wanted) is _LISTS[self.operator]
        if self.operator in _TEXTUAL:
            pattern = ".*".join(re.escape(part) for part in self.operand.split("%"))
            return value is not None and bool(re.fullmatch(pattern, str(value))) is _TEXTUAL[self.operator]
        wanted_one = self._read(self.operand)
        return value is not None and _COMPARISONS[self.operator](value, wanted_one)

    def _read(self, text: str) -> Any:
        try:
            return FIELDS[self.name](text)
        except ValueError:
            raise Violated(f"{self.name}:{self.operator}", "is of the wrong type", text) from None


def read_filter(key: str, operand: str) -> Filter:
    """A filter of a query parameter such as `fireDate:gte`. Raises Violated."""
    name, _, named = key.partition(":")
    known = {*_COMPARISONS, *_TEXTUAL, *_LISTS, *_PRESENCE}
    if name not in FIELDS or (named or "eq") not in known:
        raise Violated(key, "unknown field or operator", operand)
    return Filter(name, named or "eq", operand)


def value_of(raw: Raw, name: str) -> Any:
    """The row's value of a field, or None where it is absent or no value of its type."""
    try:
        return None if raw.get(name) is None else FIELDS[name](raw[name])
    except ValueError:
        return None


def ordered(rows: Sequence[Raw], keys: Sequence[str]) -> list[Raw]:
    """The rows by several keys, `-` before one turning it round; rows without the value come last."""
    result = list(rows)
    for key in reversed(keys):
        name = key.removeprefix("-")
        if name not in FIELDS:
            raise Violated("order", "unknown field", key)
        present = [raw for raw in result if value_of(raw, name) is not None]
        absent = [raw for raw in result if value_of(raw, name) is None]
        present.sort(key=lambda raw, name=name: value_of(raw, name), reverse=key.startswith("-"))  # type: ignore[misc]
        result = present + absent
    return result
