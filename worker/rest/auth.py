"""How a request shows who asks: credentials that are fixed. Those that are fetched: oauth.py."""

import base64
from collections.abc import Iterable

from requests import PreparedRequest
from requests.auth import AuthBase


class Auth(AuthBase):
    """Credentials of a source; on its own, none at all. Nothing of them is in a repr."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with the credentials in its headers."""
        return request

    def renew(self) -> bool:
        """Whether there are other credentials to try after a 401; fetched ones are fetched anew here."""
        return False

    def secrets(self) -> Iterable[str]:
        """What must never be shown, even where a provider's error text repeats it."""
        return ()

    def identity(self) -> str:
        """What tells these credentials from others, for as long as they are configured. A secret: only to be hashed."""
        return ""

    def close(self) -> None:
        """Close what fetching credentials keeps open."""


class Header(Auth):
    """`Authorization: <scheme> <credentials>`, in UTF-8. `parts` are secrets that the credentials are made of."""

    def __init__(self, scheme: str, credentials: str, *parts: str) -> None:
        self._header = f"{scheme} {credentials}".encode(errors="surrogateescape")
        self._secrets = (credentials, *parts)
        self._identity = f"{scheme} {credentials}"

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with its `Authorization` header."""
        request.headers["Authorization"] = self._header  # type: ignore[assignment]  # requests takes bytes as well
        return request

    def secrets(self) -> Iterable[str]:
        """The credentials, and what they are made of."""
        return self._secrets

    def identity(self) -> str:
        """The credentials themselves."""
        return self._identity


class ApiKey(Header):
    """`Authorization: ApiKey <key>` (Realtime Register)."""

    def __init__(self, key: str) -> None:
        super().__init__("ApiKey", key)


class Bearer(Header):
    """`Authorization: Bearer <token>`, with a token that does not change."""

    def __init__(self, token: str) -> None:
        super().__init__("Bearer", token)


class Basic(Header):
    """HTTP Basic (RFC 7617). The user name counts as a secret too: a key may stand there (PROVIDERS, section 2.1)."""

    def __init__(self, username: str, password: str) -> None:
        pair = f"{username}:{password}".encode(errors="surrogateescape")
        super().__init__("Basic", base64.b64encode(pair).decode(), username, password)


class Named(Auth):
    """A header of the API's own that holds a token, such as `X-Api-Key`; `prefix` stands before the token."""

    def __init__(self, header: str, prefix: str, token: str) -> None:
        self._name, self._value, self._token = header, f"{prefix}{token}", token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with the header."""
        request.headers[self._name] = self._value.encode(errors="surrogateescape")  # type: ignore[assignment]  # as above
        return request

    def secrets(self) -> Iterable[str]:
        """The token."""
        return (self._token,)

    def identity(self) -> str:
        """The header as it is sent."""
        return f"{self._name}: {self._value}"
