"""Another key for the secrets that are kept: `tocsin rotate-key`.

Short transactions, each of which leaves everything readable; a run that was interrupted is taken up by the next. An
embedded database's own key file has the old key behind the new one until nothing needs it. Who seals on SQLite reads
that file in its write transaction, and the file changes only in one: nothing can be sealed with a key that just went.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from worker.errors import ConfigurationError
from worker.key_file import KeyFile
from worker.store import keys
from worker.store.session import Database
from worker.vault import Vault

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Resealed:
    """How far it is: sealed anew, sealed with the first key already, and the endpoints whose secrets no key opens."""

    secrets: int = 0
    tokens: int = 0
    current: int = 0
    unopened: tuple[str, ...] = ()


def rotate_key(database: Database, vault: Vault, file: KeyFile | None) -> Iterator[Resealed]:
    """Seal everything with the first key; where there is a key file of our own, with a new one. Told after each commit.

    A token that no key opens is left as it is: another is fetched in its place.
    """
    if file:
        with database.transaction():
            if len(file.keys()) == 1:
                file.add()
    done = Resealed()
    for done in _reseal(database, vault):
        yield done
    while file and not _drop_old_keys(database, vault, file):
        for done in _reseal(database, vault):
            yield done


def _reseal(database: Database, vault: Vault) -> Iterator[Resealed]:
    done, last = Resealed(), 0
    while True:
        with database.transaction() as session:
            secrets = keys.sealed_secrets(session, last, _AT_ONCE)
            for last, name, sealed in secrets:
                anew = _anew(vault, sealed)
                if anew:
                    keys.reseal_secret(session, last, anew)
                done = _counted(done, name, anew, current=vault.is_current(sealed))
        yield done
        if len(secrets) < _AT_ONCE:
            break
    fingerprint = ""
    while True:
        with database.transaction() as session:
            tokens = keys.sealed_tokens(session, fingerprint, _AT_ONCE)
            for fingerprint, sealed in tokens:
                if anew := _anew(vault, sealed):
                    keys.reseal_token(session, fingerprint, anew)
                    done = replace(done, tokens=done.tokens + 1)
        yield done
        if len(tokens) < _AT_ONCE:
            return


def _counted(done: Resealed, name: str, anew: str | None, *, current: bool) -> Resealed:
    if anew:
        return replace(done, secrets=done.secrets + 1)
    if current:
        return replace(done, current=done.current + 1)
    return replace(done, unopened=tuple(dict.fromkeys((*done.unopened, name))))


def _anew(vault: Vault, sealed: str) -> str | None:
    """The same text, sealed with the first key; None where it is so already, or no key opens it."""
    if vault.is_current(sealed):
        return None
    try:
        return vault.seal(vault.open(sealed))
    except ConfigurationError:
        return None


def _drop_old_keys(database: Database, vault: Vault, file: KeyFile) -> bool:
    """False, and nothing done, where something was sealed with an old key meanwhile."""
    with database.transaction() as session:
        if any(_anew(vault, sealed) for sealed in keys.all_sealed(session)):
            return False
        file.keep_first()
        return True
