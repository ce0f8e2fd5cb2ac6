"""Signing secrets as the configuration holds them: one, or several while one replaces another."""

import base64
import binascii
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo

from worker.settings.fields import NOT_EMPTY
from worker.settings.secret import Secret

Signing = Literal["hmac", "ed25519"]
_SHARED = range(24, 65)
_SEED = 32
_MOST = 10


def _fits_signing(secret: Secret, info: ValidationInfo) -> Secret:
    """DELIVERY, section 2. It stands behind `signing` in its table, whose value is known therefore, if it is one."""
    text, signing = secret.get_secret_value(), info.data.get("signing")
    if signing == "hmac" and len(_decoded(text, "whsec_")) not in _SHARED:
        other = '; whsk_ is for signing = "ed25519"' if text.startswith("whsk_") else ""
        raise ValueError(
            "is not a webhook secret: whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made" + other
        )
    if signing == "ed25519" and not _is_private_key(_decoded(text, "whsk_")):
        raise ValueError(
            "is not an ed25519 private key: whsk_ and the base64 of its 32 bytes, or of 64 with the public key behind "
            "them; leave it out to have one made"
        )
    return secret


def _decoded(text: str, prefix: str) -> bytes:
    encoded = text.removeprefix(prefix).rstrip("=") if text.startswith(prefix) else ""
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_private_key(found: bytes) -> bool:
    if len(found) == _SEED:
        return True
    public = found[_SEED:]
    return len(found) == 2 * _SEED and public == _public_key(found[:_SEED])


def _public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _how_many(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


_One = Annotated[Secret, AfterValidator(_fits_signing)]
_Several = Annotated[tuple[_One, ...], NOT_EMPTY, Field(max_length=_MOST)]

SigningSecrets = Annotated[Annotated[_One, Tag("one")] | Annotated[_Several, Tag("several")], Discriminator(_how_many)]
"""A secret, or a list of them, the newest first: all sign while receivers change from one to the next."""


def each(secrets: Secret | tuple[Secret, ...] | None) -> tuple[str, ...]:
    """The texts, newest first; none where one is to be made."""
    if secrets is None:
        return ()
    return tuple(one.get_secret_value() for one in (secrets if isinstance(secrets, tuple) else (secrets,)))
