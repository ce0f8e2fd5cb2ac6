"""Private keys of ed25519, written as Standard Webhooks 1.0 writes them: `whsk_` private, `whpk_` public."""

import secrets as randomness
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PRIVATE, _PUBLIC = "whsk_", "whpk_"
_SEED, _PAIR = 32, 64


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """One private key, by its seed of 32 bytes. Its repr shows nothing; two of one seed are equal."""

    seed: bytes = field(repr=False)
    _key: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", Ed25519PrivateKey.from_private_bytes(self.seed))

    def sign(self, signed: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(signed)

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @property
    def public_text(self) -> str:
        """The public key as its receiver gets it."""
        return _PUBLIC + b64encode(self.public_bytes).decode()


def parse_private_key(text: str) -> PrivateKey:
    """The key in `whsk_` + base64 of its 32 bytes, or of 64: the same followed by the public key, as others keep it.

    Padding may be left out. Raises ValueError; its message does not hold the key.
    """
    if not text.startswith(_PRIVATE):
        raise ValueError(f"a private key begins with {_PRIVATE}")
    encoded = text.removeprefix(_PRIVATE).rstrip("=")
    try:
        found = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (NotBase64, ValueError):
        raise ValueError(f"a private key is {_PRIVATE} followed by base64") from None
    if len(found) not in {_SEED, _PAIR}:
        raise ValueError(f"a private key has {_SEED} bytes, or {_PAIR} together with its public key")
    key = PrivateKey(found[:_SEED])
    if found[_SEED:] not in {b"", key.public_bytes}:
        raise ValueError("the second half of a private key of 64 bytes is not its public key")
    return key


def new_private_key() -> str:
    """A new private key, as it is stored."""
    return _PRIVATE + b64encode(randomness.token_bytes(_SEED)).decode()
