import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.signature import new_secret, parse_secret, sign

KEYS = st.binary(min_size=24, max_size=64)


def as_text(key: bytes) -> str:
    return "whsec_" + b64encode(key).decode()


@given(key=KEYS, body=st.text(st.characters(exclude_categories=["Cs"])))
def test_the_receivers_own_libraries_accept_what_is_signed(key: bytes, body: str) -> None:
    headers = sign([key], "msg_1", datetime.now(UTC), body.encode())
    standardwebhooks.Webhook(as_text(key)).verify(body.encode(), headers, json_parse=False)
    svix.Webhook(as_text(key)).verify(body.encode(), headers)


@given(key=KEYS, body=st.binary())
def test_any_bytes_are_signed_as_they_are(key: bytes, body: bytes) -> None:
    headers = sign([key], "msg_1", datetime(2026, 11, 21, 20, 37, 11, tzinfo=UTC), body)
    expected = hmac.new(key, b"msg_1.1795293431." + body, hashlib.sha256).digest()
    assert b64decode(headers["webhook-signature"].removeprefix("v1,")) == expected


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    key = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    timestamp = datetime.fromtimestamp(1614265330, UTC)
    assert sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_secret_in_force_signs() -> None:
    old, new = b"o" * 24, b"n" * 24
    headers = sign([new, old], "msg_1", datetime.now(UTC), b"{}")
    assert len(headers["webhook-signature"].split(" ")) == 2
    for key in (old, new):
        svix.Webhook(as_text(key)).verify(b"{}", headers)


def test_the_timestamp_is_cut_to_whole_seconds() -> None:
    timestamp = datetime(2026, 11, 21, 20, 37, 11, 999_999, tzinfo=UTC)
    assert sign([b"k" * 24], "msg_1", timestamp, b"")["webhook-timestamp"] == "1795293431"


def test_another_body_is_not_accepted() -> None:
    headers = sign([b"k" * 24], "msg_1", datetime.now(UTC), b"{}")
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.Webhook(as_text(b"k" * 24)).verify(b"{ }", headers)


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(ValueError, match="no secret"):
        sign([], "msg_1", datetime.now(UTC), b"")


@given(key=KEYS)
def test_a_secret_is_read_as_it_was_written(key: bytes) -> None:
    assert parse_secret(as_text(key)) == key


@given(key=KEYS)
def test_padding_may_be_left_out_of_a_secret(key: bytes) -> None:
    assert parse_secret(as_text(key).rstrip("=")) == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("topsecret", "begins with whsec_"),
        ("", "begins with whsec_"),
        ("whsec_top secret!", "base64"),
        ("whsec_topsécret", "base64"),
        ("whsec_" + b64encode(b"\xff" * 24).decode().replace("/", "_"), "base64"),
        (as_text(b"s" * 23), "24 to 64 bytes"),
        (as_text(b"s" * 65), "24 to 64 bytes"),
        ("whsec_", "24 to 64 bytes"),
    ],
)
def test_a_bad_secret_is_refused_without_being_shown(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_secret(text)
    assert text == "" or text not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_new_secret_can_be_used_and_is_never_the_same() -> None:
    first, second = new_secret(), new_secret()
    assert len(parse_secret(first)) == 32
    assert first != second
