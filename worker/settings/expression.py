"""JMESPath: where in an answer something is. Compiled once, and quick for the plain paths that most are."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import AfterValidator

from worker.settings.wording import quoted

Finder = Callable[[Any], Any]
"""From a JSON value to what an expression finds in it; None for nothing."""

_UNREADABLE = (JMESPathError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def finder(expression: str) -> Finder:
    """What finds an expression's value; for whatever JSON, it doesn't raise. Raises ValueError for no JMESPath."""
    compiled = _compiled(expression)
    names = _names(compiled.parsed)
    if names is not None:
        return _member(names[0]) if len(names) == 1 else lambda value: _followed(value, names)

    def find(value: Any) -> Any:
        try:
            return compiled.search(value)
        except _UNREADABLE:
            return None

    return find


def _compiled(expression: str) -> Any:
    try:
        compiled = jmespath.compile(expression)
    except (JMESPathError, RecursionError):
        raise ValueError(f"{quoted(expression)} is not a JMESPath expression") from None
    unknown = [name for name in _functions(compiled.parsed) if name not in Functions.FUNCTION_TABLE]
    if unknown:
        raise ValueError(f"{quoted(expression)} calls {unknown[0]}(), which JMESPath doesn't have")
    return compiled


def _checked(expression: str) -> str:
    _compiled(expression)
    return expression


def _names(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The members of a plain path, `a.b.c`; None for any other expression. The whole, `@`, has none."""
    if node["type"] == "current":
        return ()
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    parts = [_names(child) for child in node["children"]]
    return None if None in parts else tuple(name for part in parts for name in part or ())


def _member(name: str) -> Finder:
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _followed(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield node["value"]
        for child in node.get("children", ()):
            yield from _functions(child)


Expression = Annotated[str, AfterValidator(_checked)]
"""A JMESPath expression in the configuration."""
