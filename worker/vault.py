"""Secrets at rest: sealed with the Fernet keys of TOCSIN_KEY (DELIVERY, section 2)."""

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import ConfigurationError


class Vault:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = MultiFernet([Fernet(key) for key in keys])

    def seal(self, text: str) -> str:
        """The text, encrypted."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text again. Raises ConfigurationError when it was sealed with a key that we don't have."""
        try:
            return self._keys.decrypt(sealed).decode()
        except InvalidToken:
            raise ConfigurationError(["key: a stored secret was sealed with another key; add that key too"]) from None


def own_key(database: Path) -> str:
    """The key of an embedded database, in a file beside it that only its owner can read; made when there is none."""
    path = database.with_name(database.name + ".key")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _complete(path)
    with os.fdopen(descriptor, "w") as file:
        key = Fernet.generate_key().decode()
        file.write(key + "\n")
    return key


def _complete(path: Path) -> str:
    key = path.read_text(encoding="ascii").strip()
    if not key:
        raise ConfigurationError([f"key: {path} is empty; restore it, or remove it if no secret was ever stored"])
    return key
