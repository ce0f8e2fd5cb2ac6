"""From pydantic's errors to lines for a person: the key's path, what is wrong, what to write."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from worker.settings.wording import close_to, either, one_line, quoted

KeyPath = tuple[str | int, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r"'([^']*)'")


def problem(path: KeyPath, text: str) -> str:
    """One line: `sources.registrar.every: …`."""
    return one_line(f"{key_path(path)}: {text}")


def key_path(path: KeyPath) -> str:
    """`endpoints.erp.types[1]`; a key that TOML would have in quotes is in quotes."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            shown += f".{name}" if shown else name
    return shown


def problems_of(error: ValidationError, path: KeyPath, raw: object, model: type[BaseModel]) -> list[str]:
    """The lines of a failed validation of `raw`, which stands at `path`."""
    details = error.errors(include_url=False)
    return list(dict.fromkeys(_line(detail, path, raw, model) for detail in details))


def _line(detail: ErrorDetails, path: KeyPath, raw: object, model: type[BaseModel]) -> str:
    within = _in_file(detail, raw)
    if detail["type"] == "extra_forbidden":
        meant = close_to(str(within[-1]), _keys(model, within[:-1]))
        return problem((*path, *within), f'unknown key; did you mean "{meant}"?' if meant else "unknown key")
    return problem((*path, *within), _text(detail))


def _in_file(detail: ErrorDetails, raw: Any) -> KeyPath:
    """The path as it is in the file: pydantic's has a union's tags and its own marks in it."""
    found: list[str | int] = []
    for part in detail["loc"]:
        inside = part in raw if isinstance(raw, dict) else isinstance(raw, list) and isinstance(part, int)
        if inside:
            raw = raw[part]
        if inside or (detail["type"] == "missing" and part == detail["loc"][-1]):
            found.append(part)
    return (*found, *_discriminator(detail))


def _discriminator(detail: ErrorDetails) -> KeyPath:
    unknown = detail["type"] in {"union_tag_invalid", "union_tag_not_found"}
    return tuple(_QUOTED.findall(detail["ctx"]["discriminator"])) if unknown else ()


def _keys(model: type[BaseModel], path: KeyPath) -> set[str]:
    """The keys that may stand at a path of a model; of a union, those of all its members."""
    models = [model]
    for part in path:
        inside = [each.model_fields[part].annotation for each in models if part in each.model_fields]
        models = [found for annotation in inside for found in _models(annotation)]
    return {name for each in models for name in each.model_fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _choices(detail: ErrorDetails, of: str) -> str:
    return either(f'"{choice}"' for choice in _QUOTED.findall(detail["ctx"][of]))


def _said(detail: ErrorDetails) -> str:
    """What a check of ours says."""
    return str(detail["ctx"]["error"])


def _not_a_choice(detail: ErrorDetails) -> str:
    return f"{quoted(detail['input'])} is not possible; write {_choices(detail, 'expected')}"


def _not_a_tag(detail: ErrorDetails) -> str:
    return f"{quoted(detail['ctx']['tag'])} is not possible; write {_choices(detail, 'expected_tags')}"


def _limit(words: str, of: str) -> Callable[[ErrorDetails], str]:
    return lambda detail: f"{words} {detail['ctx'][of]}"


_TEXTS: Mapping[str, str | Callable[[ErrorDetails], str]] = {
    "missing": "this key is needed",
    "union_tag_not_found": "this key is needed",
    "union_tag_invalid": _not_a_tag,
    "value_error": _said,
    "assertion_error": _said,
    "literal_error": _not_a_choice,
    "enum": _not_a_choice,
    "too_short": _limit("has fewer entries than", "min_length"),
    "too_long": _limit("has more entries than", "max_length"),
    "string_too_short": _limit("must have this many characters at least:", "min_length"),
    "string_too_long": _limit("must have this many characters at most:", "max_length"),
    "string_pattern_mismatch": _limit("does not have the form", "pattern"),
    "greater_than": _limit("must be more than", "gt"),
    "greater_than_equal": _limit("must be at least", "ge"),
    "less_than": _limit("must be less than", "lt"),
    "less_than_equal": _limit("must be at most", "le"),
}
_SHAPES: Sequence[tuple[tuple[str, ...], str]] = (
    (("string_type",), "must be text, in quotes"),
    (("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    (("float_type", "float_parsing"), "must be a number"),
    (("bool_type", "bool_parsing"), "must be true or false"),
    (("model_type", "model_attributes_type", "dict_type", "mapping_type"), "must be a table"),
    (("tuple_type", "list_type", "set_type", "frozen_set_type"), "must be a list, in square brackets"),
)


def _text(detail: ErrorDetails) -> str:
    kind = detail["type"]
    shape = next((text for kinds, text in _SHAPES if kind in kinds), detail["msg"])
    text = _TEXTS.get(kind, shape)
    return text if isinstance(text, str) else text(detail)
