"""Secrets at rest: sealed with the Fernet keys of TOCSIN_KEY (DELIVERY, section 2)."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import ConfigurationError


class Vault:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = MultiFernet([Fernet(key) for key in keys])
        self._pepper = hashlib.sha256(keys[0].encode()).digest()

    def seal(self, text: str) -> str:
        """The text, encrypted."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text again. Raises ConfigurationError when it was sealed with a key that we don't have."""
        try:
            return self._keys.decrypt(sealed).decode()
        except InvalidToken:
            raise ConfigurationError(["key: a stored secret was sealed with another key; add that key too"]) from None

    def fingerprint(self, secret: str) -> str:
        """What tells a secret from others where others may see it; without our key, nothing can be made of it."""
        written = secret.encode(errors="surrogatepass")
        return hashlib.blake2b(written, key=self._pepper, digest_size=16).hexdigest()


def own_key(database: Path) -> str:
    """The key of an embedded database, in a file beside it that only its owner can read; made when there is none.

    The file appears with its key in it, so that processes that start together have the same one. Raises
    ConfigurationError when it holds no key.
    """
    path = database.with_name(database.name + ".key")
    if not path.exists():
        with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as file:  # mode 0600
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(file.name, path)
    return _read(path)


def _read(path: Path) -> str:
    try:
        key = path.read_bytes().strip()
        Fernet(key)
        return key.decode("ascii")
    except ValueError:
        reason = f"key: {path} holds no key; restore it, or remove it if no secret was ever stored"
        raise ConfigurationError([reason]) from None
