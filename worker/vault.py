"""Secrets at rest: sealed with the Fernet keys of TOCSIN_KEY (DELIVERY, section 2)."""

import hashlib
from collections.abc import Callable, Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import ConfigurationError

Keys = Sequence[str]


class Vault:
    """Seals with the first key, opens with any. Where a function gives the keys, a change of them is seen at once."""

    def __init__(self, keys: Keys | Callable[[], Keys]) -> None:
        self._current = keys if callable(keys) else lambda: keys
        self._made: tuple[Keys, Fernet, MultiFernet] | None = None
        self._pepper = hashlib.sha256(self._current()[0].encode()).digest()

    def seal(self, text: str) -> str:
        """The text, encrypted."""
        first, _ = self._fresh()
        return first.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text again. Raises ConfigurationError when it was sealed with a key that we don't have."""
        _, each = self._fresh()
        try:
            return each.decrypt(sealed).decode()
        except InvalidToken:
            raise ConfigurationError(["key: a stored secret was sealed with another key; add that key too"]) from None

    def is_current(self, sealed: str) -> bool:
        """Whether the first key sealed it."""
        first, _ = self._fresh()
        try:
            first.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def fingerprint(self, secret: str) -> str:
        """What tells a secret from others where others may see it; without our key, nothing can be made of it."""
        written = secret.encode(errors="surrogatepass")
        return hashlib.blake2b(written, key=self._pepper, digest_size=16).hexdigest()

    def _fresh(self) -> tuple[Fernet, MultiFernet]:
        keys = self._current()
        if self._made is None or self._made[0] != keys:
            each = [Fernet(key) for key in keys]
            self._made = keys, each[0], MultiFernet(each)
        return self._made[1], self._made[2]
