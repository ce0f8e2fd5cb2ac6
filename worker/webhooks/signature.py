"""Signatures as Standard Webhooks 1.0 defines them: symmetric, HMAC-SHA256 (INTERFACE, section 4)."""

import hmac
import secrets as randomness
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from datetime import datetime

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def sign(secrets: Sequence[bytes], message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three signature headers; the signature header holds one `v1,` signature for each secret in force.

    `timestamp` is the attempt's, cut to whole seconds. Raises ValueError without a secret: nothing goes out unsigned.
    """
    if not secrets:
        raise ValueError("there is no secret to sign with")
    seconds = int(timestamp.timestamp())
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    signatures = ["v1," + b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


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
