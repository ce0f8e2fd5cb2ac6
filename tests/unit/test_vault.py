import pytest
from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.vault import Vault


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


def test_it_is_known_whether_the_first_key_sealed_it() -> None:
    old, new = _key(), _key()
    both = Vault([new, old])
    assert (both.is_current(both.seal("text")), both.is_current(Vault([old]).seal("text"))) == (True, False)


def test_other_keys_are_taken_as_soon_as_they_are_there() -> None:
    old, new = _key(), _key()
    keys = [old]
    vault = Vault(lambda: tuple(keys))
    sealed = vault.seal("text")
    keys.insert(0, new)
    assert (vault.open(sealed), Vault([new]).open(vault.seal("text"))) == ("text", "text")


def test_a_fingerprint_stays_while_the_process_runs() -> None:
    keys = [_key()]
    vault = Vault(lambda: tuple(keys))
    before = vault.fingerprint("text")
    keys.insert(0, _key())
    assert vault.fingerprint("text") == before
