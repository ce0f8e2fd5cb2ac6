"""The keys of a GovApp source (INTERFACE, section 1; PROVIDERS, section 3.1; CLARIFICATIONS, 4)."""

from typing import Annotated, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, Field, model_validator

from worker.settings import Secret, Section, SourceSettings, Url


def _rsa(key: Secret) -> Secret:
    try:
        read = load_pem_private_key(key.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is not a private key in PEM without a password") from None
    if not isinstance(read, RSAPrivateKey):
        raise ValueError("is not an RSA key; the assertion is signed with RS256")  # noqa: TRY004  # pydantic's
    return key


class OAuth2(Section):
    """Client credentials, with a secret or with an assertion signed by a private key.

    `audience`, `resource` and `scope` are form fields; `assertion_audience` is the assertion's `aud` (default: the
    token URL), `key_id` its `kid`.
    """

    kind: Literal["oauth2"]
    token_url: Annotated[Url, Field(repr=False)]
    client_id: str = Field(min_length=1)
    client_secret: Secret | None = None
    private_key: Annotated[Secret, AfterValidator(_rsa)] | None = None
    audience: str | None = None
    resource: str | None = None
    scope: str | None = None
    assertion_audience: str | None = None
    key_id: str | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.client_secret is None) == (self.private_key is None):
            raise ValueError("write client_secret or private_key, exactly one of them")
        if self.private_key is None and (self.assertion_audience or self.key_id):
            raise ValueError("assertion_audience and key_id belong to private_key")
        return self


class BearerToken(Section):
    """A token that does not change."""

    kind: Literal["bearer"]
    token: Secret


class UserPassword(Section):
    """HTTP Basic."""

    kind: Literal["basic"]
    username: str = Field(min_length=1)
    password: Secret


class GovAppOptions(SourceSettings):
    """`base_url` and `auth` are given at onboarding: neither is guessed.

    `time_format` is how `sentAfter` and `sentBefore` are written, which is not documented (section 3.3).
    """

    base_url: Annotated[Url, Field(repr=False)]
    auth: Annotated[OAuth2 | BearerToken | UserPassword, Field(discriminator="kind")]
    time_format: Literal["seconds", "microseconds"] = "seconds"
