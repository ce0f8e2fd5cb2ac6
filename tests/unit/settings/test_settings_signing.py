import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
NOT_SHARED = "is not a webhook secret: whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made"
NOT_PRIVATE = (
    "is not an ed25519 private key: whsk_ and the base64 of its 32 bytes, or of 64 with the public key behind them; "
    "leave it out to have one made"
)


def shared(byte: bytes = b"a") -> str:
    return "whsec_" + base64.b64encode(byte * 32).decode()


def private(content: bytes = SEED) -> str:
    return "whsk_" + base64.b64encode(content).decode()


def test_an_endpoint_without_a_secret_has_none_configured(desk: Any, erp: Callable[[str], str]) -> None:
    assert desk.read(erp("")).endpoints["erp"].secrets == ()


def test_one_secret_is_the_one_in_force(desk: Any, erp: Callable[[str], str]) -> None:
    assert desk.read(erp('secret = { env = "S" }'), {"S": shared()}).endpoints["erp"].secrets == (shared(),)


def test_several_secrets_are_in_force_in_their_order(desk: Any, erp: Callable[[str], str]) -> None:
    found = desk.read(erp('secret = [{ env = "NEW" }, { env = "OLD" }]'), {"NEW": shared(b"n"), "OLD": shared(b"o")})
    assert found.endpoints["erp"].secrets == (shared(b"n"), shared(b"o"))


@pytest.mark.parametrize("content", [SEED, SEED + PUBLIC])
@pytest.mark.parametrize("order", [0, 1])
def test_a_private_key_may_be_configured(desk: Any, erp: Callable[[str], str], content: bytes, order: int) -> None:
    lines = ['signing = "ed25519"', 'secret = { env = "S" }']
    text = erp("\n".join(lines if order else lines[::-1]))
    assert desk.read(text, {"S": private(content)}).endpoints["erp"].secrets == (private(content),)


@pytest.mark.parametrize(
    "secret",
    [
        shared(),
        private(SEED[:31]),
        private(SEED + PUBLIC[::-1]),
        private(SEED * 2),
        "whsk_hunter2",
        "whsk_é",
        "hunter2",
    ],
)
def test_another_private_key_is_refused_and_not_repeated(desk: Any, erp: Callable[[str], str], secret: str) -> None:
    found = desk.problems(erp('signing = "ed25519"\nsecret = { env = "S" }'), {"S": secret})
    assert found == (f"endpoints.erp.secret: {NOT_PRIVATE}",)


def test_a_private_key_is_no_shared_secret(desk: Any, erp: Callable[[str], str]) -> None:
    found = desk.problems(erp('secret = { env = "S" }'), {"S": private()})
    assert found == (f'endpoints.erp.secret: {NOT_SHARED}; whsk_ is for signing = "ed25519"',)


def test_each_bad_secret_of_several_is_named_by_its_place(desk: Any, erp: Callable[[str], str]) -> None:
    found = desk.problems(erp('secret = [{ env = "S" }, "hunter2", { env = "GONE" }]'), {"S": shared()})
    assert found == (
        f"endpoints.erp.secret[1]: {NOT_SHARED}",
        "endpoints.erp.secret[2]: environment variable GONE is not set",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("secret = []", "secret: is empty; leave the key out for its default"),
        ("secret = 5", 'secret: is not a secret; write { env = "NAME" } or { file = "path" }'),
        ("secret = [" + f'"{shared()}", ' * 11 + "]", "secret: has more entries than 10"),
        ('signing = "rsa"', 'signing: "rsa" is not possible; write "hmac" or "ed25519"'),
        ('signing = "rsa"\nsecret = "hunter2"', 'signing: "rsa" is not possible; write "hmac" or "ed25519"'),
    ],
)
def test_a_bad_choice_of_secrets_is_one_line(desk: Any, erp: Callable[[str], str], line: str, expected: str) -> None:
    assert desk.problems(erp(line)) == (f"endpoints.erp.{expected}",)


@pytest.mark.parametrize(
    ("value", "path"), [(f'"{shared()}"', "secret"), (f'[{{ env = "S" }}, "{shared()}"]', "secret[1]")]
)
def test_a_secret_in_plain_text_is_warned_about_where_it_stands(
    desk: Any, erp: Callable[[str], str], value: str, path: str
) -> None:
    (warning,) = desk.read(erp(f"secret = {value}"), {"S": shared()}).warnings
    assert warning.startswith(f"endpoints.erp.{path}: the secret stands in the file as plain text")


@pytest.mark.parametrize(
    "name",
    [
        "webhook-id", "Webhook-Signature", "webhook-anything", "Content-Type", "content-length", "Content-Encoding",
        "HOST", "Connection", "keep-alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Expect", "User-Agent",
    ],
)  # fmt: skip
def test_headers_that_every_message_or_connection_has_are_refused(
    desk: Any, erp: Callable[[str], str], name: str
) -> None:
    expected = f"endpoints.erp.headers.{name}: this header is set for every message and can't be set here"
    assert desk.problems(erp(f'headers = {{ {name} = "x" }}')) == (expected,)
