"""A client of one JSON API: where it is, who asks, and what the answers mean."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from worker.errors import ContractBroken, ProviderError
from worker.rest.answers import Answer, understood
from worker.rest.auth import Auth
from worker.rest.tokens import MemoryTokens, TokenCache
from worker.rest.wire import Limits, Request, Tls, Wire
from worker.settings import SourceSettings

Parameters = Iterable[tuple[str, str | int]]
"""Of a query, in their order; a name may stand there more than once."""

_UNAUTHORISED = 401
_SHORTEST_SECRET = 4


def utc_now() -> datetime:
    """Our clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What asking takes from the world: a clock, a way to wait (in seconds), bounds, a place for tokens."""

    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    limits: Limits = field(default_factory=Limits)
    tokens: TokenCache = field(default_factory=MemoryTokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where an API is, and how it wants to be asked. `fresh_headers` are made anew for each request and each retry."""

    base_url: str = field(repr=False)
    auth: Auth = field(default_factory=Auth)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fresh_headers: Callable[[], Mapping[str, str]] = dict
    tls: Tls = field(default_factory=Tls)

    @classmethod
    def of(cls, options: SourceSettings, base_url: str, auth: Auth) -> "Api":
        """The API of a source: its own headers, certificate and authorities; `base_url` where it names none."""
        headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        return cls(base_url=options.base_url or base_url, auth=auth, headers=headers, tls=tls_of(options))


def tls_of(options: SourceSettings) -> Tls:
    """Whom a source trusts, and what it shows."""
    shown = options.client_certificate
    if shown is None:
        return Tls(ca=options.ca)
    return Tls(ca=options.ca, certificate=shown.certificate, key=shown.key)


class Client:
    """Asks one API. Every method raises the ProviderError that says whose move it is (POLLING, section 5).

    `Refused`, a ContractBroken, carries the status and the provider's own word for what is wrong. No error text holds
    a secret, even where the provider repeats one. Not to be used by two threads at once.
    """

    def __init__(self, api: Api, means: Means | None = None) -> None:
        means = means or Means()
        self._api = api
        self._clock = means.clock
        self._wire = Wire(api.tls, means.limits, means.sleep)

    def get(self, path: str, parameters: Parameters = ()) -> Answer:
        """The answer to a GET of `path`, below the base URL. The path is encoded already, the parameters are not."""
        return self._ask("GET", path, parameters)

    def post(self, path: str) -> Answer:
        """The answer to a POST without a body. It is retried like a GET: use it for what may be done twice."""
        return self._ask("POST", path, ())

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self._api.auth.close()

    def _ask(self, method: str, path: str, parameters: Parameters) -> Answer:
        api = self._api
        query = urlencode(list(parameters), quote_via=quote, safe="")
        url = f"{api.base_url.rstrip('/')}/{path.lstrip('/')}{'?' if query else ''}{query}"
        request = Request(method=method, url=url, headers=self._headers, auth=api.auth)
        try:
            raw = self._wire.send(request)
            if raw.status == _UNAUTHORISED and api.auth.renew():
                raw = self._wire.send(request)
            return understood(raw, self._clock())
        except ProviderError as error:
            self._conceal(error)
            raise

    def _headers(self) -> dict[str, Any]:
        return {**self._api.headers, **self._api.fresh_headers()}

    def _conceal(self, error: ProviderError) -> None:
        error.detail = concealed(error.detail, [*self._api.auth.secrets(), *self._api.headers.values()])
        error.args = (error.detail,)


def concealed(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets that it holds."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text


def segment(part: str) -> str:
    """One segment of a path, percent-encoded. Raises ContractBroken for one that would lead out of its folder."""
    if part in {"", ".", ".."}:
        raise ContractBroken(f'"{part}" is no part of an address.')
    return quote(part, safe="")
