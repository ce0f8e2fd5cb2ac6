"""Access tokens, and where they are kept. Another place may be given: a store that all workers share."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and the instant from which a new one is fetched: three quarters of its life."""

    value: str = field(repr=False)
    renew_at: datetime


class TokenCache(Protocol):
    """Where tokens are kept between requests; `key` tells one credential's from another's and is no secret."""

    def get(self, key: str) -> Token | None:
        """The token that was kept last."""

    def put(self, key: str, token: Token) -> None:
        """Keep this one."""


class MemoryTokens:
    """Tokens in the memory of one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def get(self, key: str) -> Token | None:
        """The token that was kept last."""
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> None:
        """Keep this one."""
        self._tokens[key] = token
