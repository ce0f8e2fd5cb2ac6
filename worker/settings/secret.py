"""Secrets: read from the environment or a file, never shown."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pydantic import BaseModel, SecretStr, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from worker.settings.wording import one_line, quoted

_HOW = 'write { env = "NAME" } or { file = "path" }'
_ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value of the file may refer to: pydantic's validation context. `None`: not known, not checked."""

    folder: Path = Path()
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    sources: frozenset[str] | None = None
    known_types: frozenset[str] | None = None
    acknowledging: frozenset[str] | None = None


def surroundings(info: ValidationInfo) -> Surroundings:
    """The context of a validation; an empty one for a model that is made in code."""
    return info.context if isinstance(info.context, Surroundings) else Surroundings()


class Secret(SecretStr):
    """Text that is never shown. In the file: `{ env = "NAME" }`, `{ file = "path" }`, or plain text (`plain`).

    `get_secret_value()` gives it. A file's path is relative to the configuration's folder, its last line break is cut.
    """

    def __init__(self, text: str, *, plain: bool = False) -> None:
        super().__init__(text)
        self.plain = plain

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        """The type's own reading; in JSON it is masked."""
        masked = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.with_info_plain_validator_function(cls._validate, serialization=masked)

    @classmethod
    def _validate(cls, value: object, info: ValidationInfo) -> Self:
        if isinstance(value, SecretStr):
            return value if isinstance(value, cls) else cls(value.get_secret_value())
        text = resolved(value, surroundings(info))
        cls.check(text)
        return cls(text, plain=isinstance(value, str))

    @classmethod
    def check(cls, text: str) -> None:
        """Raises ValueError for what can't be sent in a header; a PEM file has line breaks."""
        if _CONTROLS.search(text) and not text.startswith("-----BEGIN"):
            raise ValueError("the secret holds line breaks or other control characters")


class HeaderValue(Secret):
    """A header's value: it may be a secret, so it is never shown, and plain text is nothing to warn about."""

    def __init__(self, text: str, *, plain: bool = False) -> None:  # noqa: ARG002  # a header may well be no secret
        super().__init__(text)

    @classmethod
    def check(cls, text: str) -> None:
        """Raises ValueError for what is no header's value: it would end the header, or be refused by a server."""
        if not (text.isascii() and text.isprintable()) or text != text.strip():
            raise ValueError("a header's value has only printable ASCII characters, and no space at its ends")


def resolved(value: object, around: Surroundings) -> str:
    """The text that `{ env = … }`, `{ file = … }` or plain text stands for. Raises ValueError, without the text."""
    match value:
        case str():
            text = value
        case {"env": str(name), **rest} if not rest:
            text = _from_environment(name, around.environ)
        case {"file": str(name), **rest} if not rest:
            text = _from_file(name, around.folder)
        case _:
            raise ValueError(f"is not a secret; {_HOW}")
    if not text.strip():
        raise ValueError(f"is empty; {_HOW}")
    return text


def plain_secrets(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """The key paths of the secrets that stand in the file as plain text."""
    match value:
        case Secret(plain=True):
            yield path
        case BaseModel():
            for name, member in value:
                yield from plain_secrets(member, (*path, name))
        case dict():
            for name, member in value.items():
                yield from plain_secrets(member, (*path, name))
        case tuple() | list():
            for index, member in enumerate(value):
                yield from plain_secrets(member, (*path, index))


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    """A name that doesn't look like one may be the secret itself, so it isn't repeated."""
    shown = name if _ENVIRONMENT_NAME.fullmatch(name) else "of that name"
    if name not in environ:
        raise ValueError(f"environment variable {shown} is not set")
    if not environ[name].strip():
        raise ValueError(f"environment variable {shown} is empty")
    return environ[name]


def _from_file(name: str, folder: Path) -> str:
    try:
        text = (folder / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"file {quoted(name)} is not text in UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise ValueError(f"file {quoted(name)} cannot be read: {one_line(reason)}") from None
    if not text.strip():
        raise ValueError(f"file {quoted(name)} is empty")
    return text.removesuffix("\n").removesuffix("\r")
