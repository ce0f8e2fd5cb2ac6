"""Another key for what is stored: whatever happens meanwhile, everything stays readable."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from tests.fakes import AT
from tests.integration.signing.house import MINUTE, Yard
from tests.integration.store.desk import PowerCutError, power_cut, statements
from worker.key_file import KeyFile
from worker.resealing import Resealed, rotate_key
from worker.rest.tokens import Token
from worker.shared_tokens import SharedTokens
from worker.store import endpoints, keys
from worker.store.session import Database
from worker.vault import Vault


def new_key() -> str:
    return Fernet.generate_key().decode()


def fill(database: Database, vault: Vault, count: int = 3) -> None:
    """So many endpoints with a secret each, one of them with an old one too, and two tokens."""
    for number in range(count):
        with database.transaction() as session:
            endpoints.register(session, f"e{number}", AT)
            keys.keep_first(session, f"e{number}", "hmac", vault.seal(f"secret {number}"), AT)
    with database.transaction() as session:
        first = keys.lock(session, "e0")
        keys.retire(session, first, "hmac", AT + timedelta(days=1), AT)
        keys.keep(session, first, "hmac", vault.seal("secret 0, new"), AT)
    tokens = SharedTokens(database, vault, lambda: AT)
    for name in ("one", "two"):
        tokens.put(name, Token(f"token {name}", AT, AT))


def readable(database: Database, vault: Vault) -> tuple[list[str], list[str | None]]:
    """All that is kept, opened."""
    with database.reading() as session:
        secrets = [vault.open(sealed) for _, _, sealed in keys.sealed_secrets(session, 0, 1000)]
    tokens = SharedTokens(database, vault, lambda: AT)
    return secrets, [found and found.value for found in map(tokens.get, ("one", "two"))]


ALL = (["secret 0", "secret 1", "secret 2", "secret 0, new"], ["token one", "token two"])


def rotated(database: Database, vault: Vault, file: KeyFile | None = None) -> Resealed:
    *_, done = rotate_key(database, vault, file)
    return done


def test_everything_is_sealed_with_the_first_key_and_opens_with_it_alone(database: Database) -> None:
    old, new = new_key(), new_key()
    fill(database, Vault([old]))
    assert rotated(database, Vault([new, old])) == Resealed(secrets=4, tokens=2, current=0)
    assert readable(database, Vault([new])) == ALL


def test_what_the_first_key_sealed_is_left_alone(database: Database) -> None:
    vault = Vault([new_key()])
    fill(database, vault)
    with statements(database) as said:
        assert rotated(database, vault) == Resealed(secrets=0, tokens=0, current=4)
    assert not [one for one in said if one.startswith("UPDATE")]


def test_hundreds_are_sealed_in_short_transactions(database: Database) -> None:
    old, new = new_key(), new_key()
    fill(database, Vault([old]), 230)
    told = list(rotate_key(database, Vault([new, old]), None))
    assert [one.secrets for one in told] == [100, 200, 231, 231]


def test_a_kill_between_two_transactions_leaves_all_readable_and_the_next_run_goes_on(database: Database) -> None:
    old, new = new_key(), new_key()
    fill(database, Vault([old]), 230)
    interrupted = rotate_key(database, Vault([new, old]), None)
    next(interrupted)
    interrupted.close()
    assert len(readable(database, Vault([new, old]))[0]) == 231
    assert rotated(database, Vault([new, old])) == Resealed(secrets=131, tokens=2, current=100)
    assert len(readable(database, Vault([new]))[0]) == 231


def test_a_power_cut_at_any_statement_leaves_all_readable(database: Database) -> None:
    old, new = new_key(), new_key()
    fill(database, Vault([old]))
    both = Vault([new, old])
    for at in range(1, 13):
        with suppress(PowerCutError), power_cut(database, at):
            rotated(database, both)
        assert readable(database, both) == ALL
    assert readable(database, Vault([new])) == ALL


def test_a_secret_that_no_key_opens_is_named_and_the_others_are_sealed(database: Database) -> None:
    old, new = new_key(), new_key()
    fill(database, Vault([old]))
    with database.transaction() as session:
        session.execute(text("UPDATE endpoint_secret SET sealed = :lost WHERE id = 2"), {"lost": "gAAA"})
        session.execute(text("UPDATE token SET sealed = 'gAAA' WHERE fingerprint = 'two'"))
    assert rotated(database, Vault([new, old])) == Resealed(secrets=3, tokens=1, unopened=("e1",))


@pytest.fixture
def file(yard: Yard) -> KeyFile:
    """The embedded database's own key file, with things sealed."""
    made = KeyFile(yard.folder / "tocsin.db")
    with opened(yard) as database:
        fill(database, Vault(made.keys))
    return made


@contextmanager
def opened(yard: Yard) -> Iterator[Database]:
    database = Database(f"sqlite:///{yard.folder}/tocsin.db")
    try:
        yield database
    finally:
        database.close()


def test_an_embedded_database_gets_a_new_key_and_keeps_no_old_one(yard: Yard, file: KeyFile) -> None:
    [before] = file.keys()
    with opened(yard) as database:
        assert rotated(database, Vault(file.keys), file) == Resealed(secrets=4, tokens=2)
        [after] = file.keys()
        assert (after == before, readable(database, Vault([after]))) == (False, ALL)


@pytest.mark.parametrize("kill_after", range(3))
def test_a_kill_leaves_an_embedded_database_readable(yard: Yard, file: KeyFile, kill_after: int) -> None:
    """After the new key was written, after some was sealed with it, before the old key goes."""
    with opened(yard) as database:
        steps = rotate_key(database, Vault(file.keys), file)
        for _ in range(kill_after):
            next(steps)
        steps.close()
        assert readable(database, Vault(KeyFile(yard.folder / "tocsin.db").keys)) == ALL


def test_a_power_cut_at_any_statement_leaves_an_embedded_database_readable(yard: Yard, file: KeyFile) -> None:
    with opened(yard) as database:
        [before] = file.keys()
        for at in range(1, 13):
            with suppress(PowerCutError), power_cut(database, at):
                rotated(database, Vault(file.keys), file)
            assert readable(database, Vault(KeyFile(yard.folder / "tocsin.db").keys)) == ALL
        assert not {before}.intersection(file.keys())
        rotated(database, Vault(file.keys), file)
        [key] = file.keys()
        assert readable(database, Vault([key])) == ALL


class DiskFullError(OSError):
    """The disk is full."""


@pytest.mark.parametrize("step", ["write", "name"])
@pytest.mark.parametrize("which", [1, 2])
def test_a_key_file_that_cannot_be_replaced_stays_whole(
    yard: Yard, file: KeyFile, monkeypatch: pytest.MonkeyPatch, step: str, which: int
) -> None:
    calls = 0
    name = {"write": "fsync", "name": "replace"}[step]
    usual: Callable[..., object] = getattr(os, name)

    def failing(*words: object) -> object:
        nonlocal calls
        calls += 1
        if calls == (which if step == "name" else 2 * which - 1):  # a file and its folder are synced
            raise DiskFullError
        return usual(*words)

    monkeypatch.setattr(os, name, failing)
    with opened(yard) as database:
        with pytest.raises(DiskFullError):
            rotated(database, Vault(file.keys), file)
        assert readable(database, Vault(KeyFile(yard.folder / "tocsin.db").keys)) == ALL


def test_what_another_process_seals_meanwhile_is_not_lost(yard: Yard) -> None:
    """It seals in its transaction with the key that the file has then; only where nothing needs it does a key go."""
    worker = yard.house()
    file = KeyFile(yard.folder / "tocsin.db")
    with opened(yard) as database:
        for _ in rotate_key(database, Vault(file.keys), file):
            worker.signing.rotate("erp", MINUTE)
        assert len(file.keys()) == 1
    [newest, *_] = yard.house().signing.secrets("erp")
    assert newest in worker.signing.secrets("erp")


def test_what_was_sealed_with_the_old_key_at_the_last_moment_is_sealed_again(yard: Yard, file: KeyFile) -> None:
    late = Vault(file.keys())  # a process of an older version, which has read the file long ago
    with opened(yard) as database:
        steps = rotate_key(database, Vault(file.keys), file)
        next(steps)
        with database.transaction() as session:
            endpoints.register(session, "late", AT)
            keys.keep_first(session, "late", "hmac", late.seal("a late secret"), AT)
        for _ in steps:
            pass
        secrets, _ = readable(database, Vault(KeyFile(yard.folder / "tocsin.db").keys))
        assert (len(file.keys()), "a late secret" in secrets) == (1, True)


def test_a_running_process_goes_on_with_the_new_key(yard: Yard) -> None:
    worker = yard.house()
    yard.sent_by(worker)
    before = worker.signing.secrets("erp")
    file = KeyFile(yard.folder / "tocsin.db")
    with opened(yard) as database:
        rotated(database, Vault(file.keys), file)
    yard.clock.turn(seconds=5)
    yard.sent_by(worker)
    assert worker.signing.secrets("erp") == before
    assert yard.receiver.connections == 1


def test_two_rotations_at_once_end_with_one_key(yard: Yard, file: KeyFile) -> None:
    with opened(yard) as database:
        one, other = (rotate_key(database, Vault(file.keys), file) for _ in range(2))
        next(one)
        next(other)
        for _ in other:
            pass
        for _ in one:
            pass
        assert (len(file.keys()), readable(database, Vault(file.keys))) == (1, ALL)
        assert sorted(path.name for path in Path(yard.folder).glob("*.key*")) == ["tocsin.db.key"]
