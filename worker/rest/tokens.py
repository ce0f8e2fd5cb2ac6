"""Access tokens, and where they are kept. Another place may be given: a store that all workers share."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, the instant from which a new one is fetched (three quarters of its life), and its end.

    `expires_at` None: it may end with the first of these.
    """

    value: str = field(repr=False)
    renew_at: datetime
    expires_at: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Whether it may still be used where no newer one is to be had."""
        return now < (self.expires_at or self.renew_at)


class TokenCache(Protocol):
    """Where tokens are kept between requests; `key` tells one credential's from another's and is no secret."""

    def get(self, key: str) -> Token | None:
        """The token that was kept last."""

    def put(self, key: str, token: Token) -> None:
        """Keep this one."""

    def claim(self, key: str) -> str | None:
        """The right to fetch a new one, for longer than that takes; None: another has it. To be given back."""

    def release(self, key: str, claim: str) -> None:
        """Give the right back. Without effect where it ran out and another has it."""


class MemoryTokens:
    """Tokens in the memory of one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._claims: dict[str, str] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Token | None:
        """The token that was kept last."""
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> None:
        """Keep this one."""
        self._tokens[key] = token

    def claim(self, key: str) -> str | None:
        """The right to fetch a new one; None: another thread has it."""
        with self._lock:
            if key in self._claims:
                return None
            self._claims[key] = uuid4().hex
            return self._claims[key]

    def release(self, key: str, claim: str) -> None:
        """Give the right back."""
        with self._lock:
            if self._claims.get(key) == claim:
                del self._claims[key]
