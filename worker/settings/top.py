"""What stands at the top of the file, before any table: where the database and the broker are, and the keys.

Each may be overridden by a variable, `TOCSIN_BROKER`, or by the file that one with `_FILE` behind it names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.settings.addresses import broker_address, database_address, with_password
from worker.settings.file import chosen, document_of
from worker.settings.listening import OFF, Listening, listening
from worker.settings.problems import problem
from worker.settings.secret import Secret, Surroundings, resolved

_FROM_FILE = "_FILE"

KeyPath = tuple[str, ...]
"""The keys that lead to a value, or the variable that overrides it."""


@dataclass(frozen=True, slots=True)
class Top:
    """A document, what its values may refer to, and the problems found so far."""

    document: Mapping[str, Any]
    around: Surroundings
    problems: list[str]

    def tell(self, path: KeyPath, text: object) -> None:
        """One more problem."""
        self.problems.append(problem(path, str(text)))

    def setting(self, key: str, default: object) -> tuple[KeyPath, object]:
        """The variable's text where it is set and not empty, else its file, else what the document says."""
        variable = f"TOCSIN_{key.upper()}"
        if text := self.around.environ.get(variable):
            return (variable,), text
        if file := self.around.environ.get(variable + _FROM_FILE):
            return (variable + _FROM_FILE,), {"file": file}
        return (key,), self.document.get(key, default)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the database and the broker are. Neither is ever shown: it may hold a password."""

    database: str = field(repr=False)
    broker: str = field(repr=False)


def places(path: Path | None, environ: Mapping[str, str]) -> Places:
    """The two addresses of a configuration, without reading the rest of it. Raises ConfigurationError."""
    file = chosen(path, environ)
    top = Top(document_of(file), Surroundings(file.parent, environ), [])
    database, broker = database_of(top), broker_of(top)
    if top.problems or not (database and broker):
        raise ConfigurationError(top.problems)
    return Places(database, broker)


def database_of(top: Top) -> str | None:
    """SQLAlchemy's address, with the password where that stands elsewhere; None: it can't be used, and that is told."""
    path, given = top.setting("database", "sqlite:///tocsin.db")
    try:
        address = database_address(_text(given, top.around), top.around.folder if path == ("database",) else Path())
    except ValueError as error:
        top.tell(path, error)
        return None
    path, given = top.setting("database_password", None)
    if given is None:
        return address
    try:
        return with_password(address, resolved(given, top.around))
    except ValueError as error:
        top.tell(path, error)
        return None


def broker_of(top: Top) -> str | None:
    """The broker's address; None: it can't be used, and that is told."""
    path, given = top.setting("broker", "memory://")
    try:
        return broker_address(_text(given, top.around))
    except ValueError as error:
        top.tell(path, error)
        return None


def metrics_of(top: Top) -> Listening | None:
    """Where metrics are served, if at all."""
    path, text = top.setting("metrics", OFF)
    try:
        return listening(text)
    except ValueError as error:
        top.tell(path, error)
        return None


def keys_of(top: Top, *, needed: bool) -> tuple[Secret, ...]:
    """The keys that stored secrets are sealed with; none where they can't be used, and that is told."""
    path, value = top.setting("key", None)
    if value is None:
        if needed:
            top.tell(path, 'PostgreSQL needs one; set TOCSIN_KEY, or write key = { file = "tocsin.key" }')
        return ()
    try:
        keys = _fernet_keys(resolved(value, top.around))
    except ValueError as error:
        top.tell(path, error)
        return ()
    plain = path == ("key",) and isinstance(value, str)
    return tuple(Secret(key, plain=plain) for key in keys)


def _text(given: object, around: Surroundings) -> str:
    """An address may hold a password, so it may stand where a secret may."""
    if isinstance(given, dict):
        return resolved(given, around)
    if not isinstance(given, str):
        raise ValueError("must be text, in quotes")  # noqa: TRY004  # as every problem of the configuration
    return given


def _fernet_keys(text: str) -> list[str]:
    """Several are separated by commas or lines: the first encrypts, the others are for what is encrypted already."""
    keys = [key for key in re.split(r"[,\s]+", text) if key]
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = []
    if not keys:
        raise ValueError("is not a Fernet key; `tocsin init` makes one")
    return keys
