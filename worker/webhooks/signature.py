"""Signatures as Standard Webhooks 1.0 defines them: HMAC-SHA256 (`v1`) and ed25519 (`v1a`) (INTERFACE, section 4)."""

import hmac
import secrets as randomness
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from worker.webhooks.ed25519 import PrivateKey, new_private_key, parse_private_key

SigningKey = bytes | PrivateKey
"""What signs: the bytes of a shared secret, or a private key whose public key the receiver has."""

Signing = Literal["hmac", "ed25519"]

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def sign(keys: Sequence[SigningKey], message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three signature headers; the signature header holds one signature for each key in force.

    `timestamp` is the attempt's, cut to whole seconds. Raises ValueError without a key: nothing goes out unsigned.
    """
    if not keys:
        raise ValueError("there is no secret to sign with")
    seconds = int(timestamp.timestamp())
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(key: SigningKey, signed: bytes) -> str:
    if isinstance(key, PrivateKey):
        return "v1a," + b64encode(key.sign(signed)).decode()
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()


def parse_key(text: str) -> SigningKey:
    """The key in `whsec_…` or `whsk_…`. Raises ValueError; its message does not hold the key."""
    return parse_secret(text) if text.startswith(_PREFIX) else parse_private_key(text)


def new_key(signing: Signing) -> str:
    """A new key of that kind, as it is stored."""
    return new_secret() if signing == "hmac" else new_private_key()


def for_receiver(text: str) -> str:
    """What a receiver verifies with: the secret itself, or the public key of a private one."""
    key = parse_key(text)
    return key.public_text if isinstance(key, PrivateKey) else text


def written_forms(key: SigningKey) -> list[str]:
    """How a key may be written, without prefix and padding: what must be hidden wherever a text comes from outside."""
    if isinstance(key, PrivateKey):
        whole = b64encode(key.seed + key.public_bytes).decode().rstrip("=")
        return [whole, b64encode(key.seed).decode().rstrip("=")]
    return [b64encode(key).decode().rstrip("=")]


def parse_secret(text: str) -> bytes:
    """The key in `whsec_` + base64 of 24 to 64 bytes.

    Padding may be left out, as receivers' libraries allow. Raises ValueError; its message does not hold the secret.
    """
    if not text.startswith(_PREFIX):
        raise ValueError(f"a secret begins with {_PREFIX}")
    encoded = text.removeprefix(_PREFIX).rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (NotBase64, ValueError):
        raise ValueError(f"a secret is {_PREFIX} followed by base64") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"a secret has {_SHORTEST} to {_LONGEST} bytes")
    return key


def new_secret() -> str:
    """A new secret of 32 random bytes, as users see it."""
    return _PREFIX + b64encode(randomness.token_bytes(32)).decode()
