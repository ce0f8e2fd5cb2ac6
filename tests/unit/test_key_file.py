import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.key_file import KeyFile
from worker.vault import Vault


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db.key"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_embedded_database_makes_its_key_once(database: Path, path: Path) -> None:
    (key,) = KeyFile(database).keys()
    assert KeyFile(database).keys() == (key,)
    assert Vault([key]).open(Vault([key]).seal("text")) == "text"
    assert (mode(path), list(database.parent.iterdir())) == (0o600, [path])


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    together = Barrier(4)

    def make(path: Path) -> tuple[str, ...]:
        together.wait(10)
        return KeyFile(path).keys()

    with ThreadPoolExecutor(4) as threads:
        for number in range(50):
            assert len(set(threads.map(make, [tmp_path / f"{number}.db"] * 4))) == 1


def test_a_new_key_stands_in_front_of_those_before(database: Path, path: Path) -> None:
    file = KeyFile(database)
    before = file.keys()
    file.add()
    assert (len(file.keys()), file.keys()[1:]) == (2, before)
    assert (mode(path), list(database.parent.iterdir())) == (0o600, [path])


def test_the_newest_key_stays_alone(database: Path, path: Path) -> None:
    file = KeyFile(database)
    file.add()
    newest = file.keys()[0]
    file.keep_first()
    assert (file.keys(), path.read_text(), mode(path)) == ((newest,), f"{newest}\n", 0o600)


def test_another_process_sees_the_change_without_a_restart(database: Path) -> None:
    daemon, operator = KeyFile(database), KeyFile(database)
    before = daemon.keys()
    operator.add()
    assert daemon.keys() == (*operator.keys()[:1], *before)


def test_a_key_file_written_by_hand_may_hold_several_keys(database: Path, path: Path) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    path.write_text("\n".join(keys) + "\n")
    assert KeyFile(database).keys() == tuple(keys)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"no key\n", b"\xff\xfe", Fernet.generate_key() + b"\nno key\n"],
    ids=["empty", "blank", "no key", "no text", "a key and something else"],
)
def test_a_damaged_key_file_is_refused_in_words(database: Path, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="restore it, or remove it if no secret was ever stored") as refused:
        KeyFile(database).keys()
    assert str(path) in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
