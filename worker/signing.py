"""What requests are signed with: the secrets that are configured, or that we made and keep sealed.

A process that runs for months looks every other second whether there are other secrets now: a rotation, and the end of
its overlap, need no restart.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session

from worker import terms
from worker.errors import ConfigurationError
from worker.settings import EndpointSettings
from worker.store import keys
from worker.store.keys import KeptSecret
from worker.store.session import TROUBLE, Database
from worker.vault import Vault
from worker.webhooks import signature
from worker.webhooks.target import Target

_LOOKED_AFTER = timedelta(seconds=2)
_log = structlog.get_logger("signing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The secrets of every configured endpoint. `vault` is asked for when a secret is sealed or opened."""

    database: Database
    vault: Callable[[], Vault]
    endpoints: Mapping[str, EndpointSettings]
    clock: Callable[[], datetime]

    def make_missing(self, session: Session) -> None:
        """Make and keep a secret for each endpoint that has none: none is configured, none of its kind is kept."""
        now = self.clock()
        made = [name for name, endpoint in self.endpoints.items() if not endpoint.secrets]
        kept = keys.in_force(session, made, now)
        for name in made:
            signing = self.endpoints[name].signing
            if not any(one.signing == signing for one in kept.get(name, ())):
                sealed = self.vault().seal(signature.new_key(signing))  # in this transaction: see resealing
                keys.keep_first(session, name, signing, sealed, now)

    def kept(self) -> Mapping[str, tuple[KeptSecret, ...]]:
        """What is kept of those endpoints whose secret is not configured."""
        with self.database.reading() as session:
            made = [name for name, endpoint in self.endpoints.items() if not endpoint.secrets]
            return keys.in_force(session, made, self.clock())

    def sealed(self, name: str, kept: Mapping[str, tuple[KeptSecret, ...]]) -> tuple[str, ...]:
        """The endpoint's secrets that are in force at this moment, newest first, as they are kept."""
        now, signing = self.clock(), self.endpoints[name].signing
        return tuple(
            one.sealed
            for one in kept.get(name, ())
            if one.signing == signing and (one.retired_at is None or one.retired_at > now)
        )

    def opened(self, name: str, sealed: str) -> str:
        """The secret. Raises ConfigurationError, which names the endpoint, where no key of ours opens it."""
        try:
            return self.vault().open(sealed)
        except ConfigurationError:
            said = f"key: the stored secret of endpoint {name} was sealed with another key; add that key too"
            raise ConfigurationError([said]) from None

    def secrets(self, name: str) -> tuple[str, ...]:
        """The endpoint's secrets in force, newest first, as they are written. Raises ConfigurationError."""
        if configured := self.endpoints[name].secrets:
            return configured
        return tuple(self.opened(name, sealed) for sealed in self.sealed(name, self.kept()))

    def require(self) -> None:
        """Raises ConfigurationError, with a line for each endpoint whose secrets can't be opened."""
        kept, problems = self.kept(), list[str]()
        for name in kept:
            try:
                for sealed in self.sealed(name, kept):
                    self.opened(name, sealed)
            except ConfigurationError as error:
                problems += error.problems
        if problems:
            raise ConfigurationError(problems)

    def target(self, name: str) -> Target:
        """Where the endpoint is and how it is spoken to, now."""
        return terms.target(name, self.endpoints[name], self.secrets(name))

    def rotate(self, name: str, overlap: timedelta) -> datetime:
        """Make another secret and keep it; those before sign too, until the instant that is returned.

        Raises ConfigurationError where the secret is configured: who wrote it there must change it there.
        """
        endpoint = self.endpoints[name]
        if endpoint.secrets:
            how = "put the new one before it, secret = [new, old], and take the old one away after the overlap"
            raise ConfigurationError([f"endpoints.{name}.secret: stands in the configuration; to rotate it, {how}"])
        now = self.clock()
        with self.database.transaction() as session:
            endpoint_id = keys.lock(session, name)
            keys.retire(session, endpoint_id, endpoint.signing, now + overlap, now)
            sealed = self.vault().seal(signature.new_key(endpoint.signing))
            keys.keep(session, endpoint_id, endpoint.signing, sealed, now)
        return now + overlap


class Targets(Mapping[str, Target]):
    """The target of each endpoint, with the secrets that are in force when it is asked for. Used by one thread."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self._kept: Mapping[str, tuple[KeptSecret, ...]] = {}
        self._looked_at: datetime | None = None
        self._made: dict[str, tuple[tuple[str, ...], Target]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._signing.endpoints)

    def __len__(self) -> int:
        return len(self._signing.endpoints)

    def __getitem__(self, name: str) -> Target:
        """Raises ConfigurationError, and logs why, where none of the endpoint's secrets could ever be opened."""
        endpoint = self._signing.endpoints[name]
        if endpoint.secrets:
            return self._once(name, (), lambda: endpoint.secrets)
        self._look()
        sealed = self._signing.sealed(name, self._kept)
        return self._once(name, sealed, lambda: self._openable(name, sealed))

    def _look(self) -> None:
        """A database that is away for a moment stops no request: what was known is good for another while."""
        now = self._signing.clock()
        if self._looked_at and abs(now - self._looked_at) < _LOOKED_AFTER:
            return
        try:
            self._kept = self._signing.kept()
        except TROUBLE:
            if self._looked_at is None:
                raise
        self._looked_at = now

    def _once(self, name: str, sealed: tuple[str, ...], secrets: Callable[[], tuple[str, ...]]) -> Target:
        """The target that was made of these secrets, made now if they are others than before."""
        before = self._made.get(name)
        if before is None or before[0] != sealed:
            opened = secrets()
            target = terms.target(name, self._signing.endpoints[name], opened) if opened or not before else before[1]
            self._made[name] = sealed, target
        return self._made[name][1]

    def _openable(self, name: str, sealed: tuple[str, ...]) -> tuple[str, ...]:
        """What can be opened. Where a key is missing here, other secrets, or those known before, sign meanwhile."""
        found, failure = [], None if sealed else ConfigurationError([f"key: endpoint {name} has no stored secret"])
        for one in sealed:
            try:
                found.append(self._signing.opened(name, one))
            except ConfigurationError as error:
                failure = error
        if failure:
            _log.error("signing.secret_not_opened", endpoint=name, why=str(failure))
            if not found and name not in self._made:
                raise failure
        return tuple(found)
