import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.vault import Vault, own_key


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db.key"


def _key() -> str:
    return Fernet.generate_key().decode()


def test_what_is_sealed_opens_again() -> None:
    vault = Vault([_key()])
    assert vault.open(vault.seal("whsec_é")) == "whsec_é"
    assert "whsec" not in vault.seal("whsec_é")


def test_an_older_key_still_opens_and_the_first_one_seals() -> None:
    old, new = _key(), _key()
    both = Vault([new, old])
    assert both.open(Vault([old]).seal("text")) == "text"
    assert Vault([new]).open(both.seal("text")) == "text"


def test_what_another_key_sealed_is_refused_in_words() -> None:
    sealed = Vault([_key()]).seal("text")
    with pytest.raises(
        ConfigurationError, match=r"^key: a stored secret was sealed with another key; add that key too$"
    ):
        Vault([_key()]).open(sealed)


def test_an_embedded_database_makes_its_key_once(database: Path, key_file: Path) -> None:
    key = own_key(database)
    assert own_key(database) == key
    assert Vault([key]).open(Vault([key]).seal("text")) == "text"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert list(database.parent.iterdir()) == [key_file]


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    together = Barrier(4)

    def make(path: Path) -> str:
        together.wait(10)
        return own_key(path)

    with ThreadPoolExecutor(4) as threads:
        for number in range(50):
            assert len(set(threads.map(make, [tmp_path / f"{number}.db"] * 4))) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"no key\n", b"\xff\xfe"], ids=["empty", "blank", "no key", "no text"])
def test_a_damaged_key_file_is_refused_in_words(database: Path, key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="restore it, or remove it if no secret was ever stored") as refused:
        own_key(database)
    assert str(key_file) in str(refused.value)
