"""Access tokens that all workers share: fetched once, kept encrypted in the database (POLLING, section 5)."""

from collections.abc import Callable
from datetime import datetime

from worker.errors import ConfigurationError
from worker.rest.tokens import Token
from worker.store import tokens
from worker.store.session import Database
from worker.store.tokens import SealedToken
from worker.vault import Vault


class SharedTokens:
    """`rest`'s TokenCache, in the database. Each call is one short transaction; none is open while a token is fetched.

    A token that was sealed with a key that we no longer have is none: another is fetched.
    """

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._database, self._vault, self._clock = database, vault, clock

    def get(self, key: str) -> Token | None:
        """The token that was kept last, by any worker."""
        with self._database.reading() as session:
            sealed = tokens.kept(session, key)
        if sealed is None:
            return None
        try:
            return Token(self._vault.open(sealed.sealed), sealed.renew_at, sealed.expires_at)
        except ConfigurationError:
            return None

    def put(self, key: str, token: Token) -> None:
        """Keep this one, sealed."""
        sealed = SealedToken(self._vault.seal(token.value), token.renew_at, token.expires_at or token.renew_at)
        with self._database.transaction() as session:
            tokens.keep(session, key, sealed)

    def claim(self, key: str) -> str | None:
        """The right to fetch a new one, for less than a minute; None: another worker has it."""
        with self._database.transaction() as session:
            return tokens.acquire(session, key, self._clock())

    def release(self, key: str, claim: str) -> None:
        """Give the right back. Without effect where it ran out and another has it."""
        with self._database.transaction() as session:
            tokens.release(session, key, claim)
