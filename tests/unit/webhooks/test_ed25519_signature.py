import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.ed25519 import PrivateKey, new_private_key, parse_private_key
from worker.webhooks.signature import for_receiver, new_key, parse_key, sign, written_forms

SEEDS = st.binary(min_size=32, max_size=32)
AT = datetime(2026, 11, 21, 20, 37, 11, 999_999, tzinfo=UTC)


def public_key(seed: bytes) -> Ed25519PublicKey:
    """What its receiver has, made without our code."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key()


def as_text(private: bytes) -> str:
    return "whsk_" + b64encode(private).decode()


@given(seed=SEEDS, body=st.binary())
def test_a_receiver_verifies_with_the_public_key_alone(seed: bytes, body: bytes) -> None:
    headers = sign([PrivateKey(seed)], "msg_1", AT, body)
    version, _, signature = headers["webhook-signature"].partition(",")
    assert (version, headers["webhook-id"], headers["webhook-timestamp"]) == ("v1a", "msg_1", "1795293431")
    public_key(seed).verify(b64decode(signature, validate=True), b"msg_1.1795293431." + body)


def test_another_body_does_not_verify() -> None:
    headers = sign([PrivateKey(b"s" * 32)], "msg_1", AT, b"{}")
    signature = b64decode(headers["webhook-signature"].removeprefix("v1a,"))
    with pytest.raises(InvalidSignature):
        public_key(b"s" * 32).verify(signature, b"msg_1.1795293431.{ }")


def test_every_key_in_force_signs_the_newest_first() -> None:
    headers = sign([PrivateKey(b"n" * 32), PrivateKey(b"o" * 32)], "msg_1", AT, b"{}")
    new, old = (b64decode(each.removeprefix("v1a,")) for each in headers["webhook-signature"].split(" "))
    public_key(b"n" * 32).verify(new, b"msg_1.1795293431.{}")
    public_key(b"o" * 32).verify(old, b"msg_1.1795293431.{}")


@given(seed=SEEDS)
def test_a_private_key_is_read_with_and_without_its_public_key(seed: bytes) -> None:
    public = public_key(seed).public_bytes_raw()
    for text in (as_text(seed), as_text(seed + public), as_text(seed).rstrip("=")):
        assert parse_key(text) == PrivateKey(seed)


@given(seed=SEEDS)
def test_a_receiver_is_given_the_public_key(seed: bytes) -> None:
    shown = for_receiver(as_text(seed))
    assert b64decode(shown.removeprefix("whpk_"), validate=True) == public_key(seed).public_bytes_raw()


def test_a_receiver_is_given_a_shared_secret_as_it_is() -> None:
    secret = new_key("hmac")
    assert (for_receiver(secret), secret[:6]) == (secret, "whsec_")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("topsecret", "begins with whsk_"),
        ("whsk_top secret!", "base64"),
        ("whsk_topsécret", "base64"),
        (as_text(b"s" * 31), "32 bytes"),
        (as_text(b"s" * 33), "32 bytes"),
        (as_text(b"s" * 64), "not its public key"),
        ("whsk_", "32 bytes"),
    ],
)
def test_a_bad_private_key_is_refused_without_being_shown(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_private_key(text)
    assert text == "whsk_" or text not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_new_private_key_can_be_used_and_is_never_the_same() -> None:
    first, second = new_key("ed25519"), new_private_key()
    assert (len(parse_private_key(first).seed), first == second) == (32, False)


def test_a_private_key_shows_nothing_of_itself() -> None:
    key = PrivateKey(b"0123456789abcdef0123456789abcdef")
    assert repr(key) == "PrivateKey()"
    assert not re.search("0123|whs", f"{key} {[key]}")


@given(seed=SEEDS)
def test_a_private_key_is_known_in_every_way_of_writing_it(seed: bytes) -> None:
    public = public_key(seed).public_bytes_raw()
    for text in (as_text(seed), as_text(seed + public)):
        assert any(form in text for form in written_forms(PrivateKey(seed)))
