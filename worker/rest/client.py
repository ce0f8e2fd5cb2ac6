"""A client of one JSON API: where it is, who asks, and what the answers mean."""

import copy
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from worker.errors import ContractBroken, ProviderError, RateLimited
from worker.provider import Validators
from worker.rest.answers import NOT_MODIFIED, Answer, BackAt, Raw, says_nothing, unchanged, understood
from worker.rest.auth import Auth
from worker.rest.budget import Budget, Budgets
from worker.rest.tokens import MemoryTokens, TokenCache
from worker.rest.wire import Limits, Request, Tls, Wire
from worker.settings import Rate, SourceSettings

Parameters = Iterable[tuple[str, str | int]]
"""Of a query, in their order; a name may stand there more than once."""

_UNAUTHORISED = 401
_SHORTEST_SECRET = 4


def utc_now() -> datetime:
    """Our clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What asking takes from the world: a clock, a way to wait (in seconds), bounds, a place for tokens, budgets.

    `budgets` None: nothing is counted. `live` False: requests leave a third of a budget to those that are. `wait_out`
    waits as a limit asks, and the request is made again; it may raise the limit, as is done without. `aside` is entered
    while an answer is waited for.
    """

    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    limits: Limits = field(default_factory=Limits)
    tokens: TokenCache = field(default_factory=MemoryTokens)
    budgets: Budgets | None = None
    live: bool = True
    wait_out: Callable[[RateLimited], None] | None = None
    aside: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where an API is, and how it wants to be asked. `fresh_headers` are made anew for each request and each retry.

    `back_at` reads when the provider is back out of the body of its 503. `budget` is what one source declares of the
    requests that may be made with its credentials at `provider`.
    """

    base_url: str = field(repr=False)
    auth: Auth = field(default_factory=Auth)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fresh_headers: Callable[[], Mapping[str, str]] = dict
    tls: Tls = field(default_factory=Tls)
    back_at: BackAt = says_nothing
    provider: str = ""
    budget: Rate | None = None

    @classmethod
    def of(cls, options: SourceSettings, base_url: str, auth: Auth) -> "Api":
        """The API of a source: its own headers, certificate and authorities; `base_url` where it names none."""
        return cls(
            base_url=options.base_url or base_url,
            auth=auth,
            headers=headers_of(options),
            tls=tls_of(options),
            provider=options.provider,
            budget=options.budget,
        )

    @property
    def account(self) -> str:
        """Whose budget a request is counted in. A secret: it holds the credentials, which may be a header of its own.

        Not in a repr.
        """
        return repr((self.provider, self.base_url.rstrip("/"), self.auth.identity() or sorted(self.headers.items())))


def tls_of(options: SourceSettings) -> Tls:
    """Whom a source trusts, and what it shows."""
    shown = options.client_certificate
    if shown is None:
        return Tls(ca=options.ca)
    return Tls(ca=options.ca, certificate=shown.certificate, key=shown.key)


def headers_of(options: SourceSettings) -> dict[str, str]:
    """A source's own headers, which go with all of its requests, those for tokens too."""
    return {name: value.get_secret_value() for name, value in options.headers.items()}


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
        self._budget: Budget | None = means.budgets.of(api.account, api.budget) if means.budgets else None
        self._live = means.live
        self._wait_out = means.wait_out
        self._aside = means.aside

    def background(self) -> "Client":
        """This client for what can wait: its requests leave a third of the budget to live ones.

        It shares the connections, so it is to be closed with this one, and used by the same thread.
        """
        other = copy.copy(self)
        other._live = False  # noqa: SLF001  # it is one of us
        return other

    def get(self, path: str, parameters: Parameters = (), validators: Validators | None = None) -> Answer:
        """The answer to a GET of `path`, below the base URL. The path is encoded already, the parameters are not.

        With `validators` it may be `not_modified`. For the pages of a pass: visit.py.
        """
        return self._ask("GET", path, parameters, validators)

    def post(self, path: str) -> Answer:
        """The answer to a POST without a body. It is retried like a GET: use it for what may be done twice."""
        return self._ask("POST", path, ())

    def address(self, path: str, parameters: Parameters = ()) -> str:
        """The whole address of a path; one that is whole already, such as a next link's, stays as it is."""
        if path.startswith(("http://", "https://")):
            return path
        query = urlencode(list(parameters), quote_via=quote, safe="")
        return f"{self._api.base_url.rstrip('/')}/{path.lstrip('/')}{'?' if query else ''}{query}"

    def now(self) -> datetime:
        """The instant, by the clock that it was given."""
        return self._clock()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self._api.auth.close()

    def _ask(self, method: str, path: str, parameters: Parameters, validators: Validators | None = None) -> Answer:
        while True:
            try:
                return self._asked(method, path, parameters, validators)
            except RateLimited as limit:
                if self._wait_out is None:
                    raise
                self._wait_out(limit)

    def _asked(self, method: str, path: str, parameters: Parameters, validators: Validators | None) -> Answer:
        api = self._api
        request = Request(
            method=method,
            url=self.address(path, parameters),
            headers=lambda: self._headers(validators),
            auth=api.auth,
            permit=self._permit,
        )
        try:
            with self._aside():
                raw = self._sent(request)
            if validators and raw.status == NOT_MODIFIED:
                return unchanged(raw, validators, self._clock())
            return understood(raw, self._clock(), api.back_at)
        except ProviderError as error:
            self._conceal(error)
            raise

    def _sent(self, request: Request) -> Raw:
        raw = self._wire.send(request)
        if raw.status == _UNAUTHORISED and self._api.auth.renew():
            return self._wire.send(request)
        return raw

    def _permit(self) -> None:
        if self._budget:
            self._budget.take(live=self._live)

    def _headers(self, validators: Validators | None) -> dict[str, Any]:
        return {**self._api.headers, **self._api.fresh_headers(), **conditions(validators)}

    def _conceal(self, error: ProviderError) -> None:
        error.detail = concealed(error.detail, [*self._api.auth.secrets(), *self._api.headers.values()])
        error.args = (error.detail,)


def conditions(validators: Validators | None) -> dict[str, bytes]:
    """The headers that ask for an answer only if it is another, byte for byte as the validators came."""
    sent = validators or Validators()
    named = {"If-None-Match": sent.etag, "If-Modified-Since": sent.last_modified}
    return {name: value.encode("latin-1", "replace") for name, value in named.items() if value is not None}


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
