"""OAuth 2.0 client credentials (RFC 6749, section 4.4; RFC 7523 for the signed assertion; PROVIDERS, section 3.1)."""

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from uuid import uuid4

from requests import PreparedRequest

from worker.errors import AuthFailed, ContractBroken, ProviderError, Unavailable
from worker.rest.answers import Answer, Refused, understood
from worker.rest.auth import Auth
from worker.rest.client import concealed
from worker.rest.reading import member
from worker.rest.tokens import Token, TokenCache
from worker.rest.wire import Request, Wire

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFE = timedelta(minutes=5)
_UNSTATED_LIFE = timedelta(minutes=5)
_LONGEST_LIFE = timedelta(days=1)
_RENEWED_AT = 0.75
_GLANCES, _BETWEEN_GLANCES_S = 40, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSecret:
    """A client's secret, sent as a form field."""

    secret: str = field(repr=False)

    def fields(self, grant: "Grant", now: datetime) -> Mapping[str, str]:  # noqa: ARG002  # the proofs' common shape
        """The form fields that prove who asks."""
        return {"client_id": grant.client_id, "client_secret": self.secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A client's private RSA key in PEM; `audience` is the assertion's `aud`, `key_id` its `kid`."""

    pem: str = field(repr=False)
    audience: str | None = None
    key_id: str | None = None

    def fields(self, grant: "Grant", now: datetime) -> Mapping[str, str]:
        """The form fields that prove who asks: an assertion that is signed for this one request.

        Raises AuthFailed when the key can't sign.
        """
        import jwt  # noqa: PLC0415  # takes longer to load than all the rest of this package, and few providers want it

        claims = {
            "iss": grant.client_id,
            "sub": grant.client_id,
            "aud": self.audience or grant.token_url,
            "iat": now,
            "exp": now + _ASSERTION_LIFE,
            "jti": str(uuid4()),
        }
        try:
            signed = jwt.encode(claims, self.pem, "RS256", headers={"kid": self.key_id} if self.key_id else None)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise AuthFailed("The private key is no RSA key in PEM without a password.") from None
        return {
            "client_id": grant.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": signed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What is asked of a token endpoint, and by whom (CLARIFICATIONS, 4).

    `audience`, `resource` and `scope` are form fields; `headers` are the source's own.
    """

    token_url: str
    client_id: str
    proof: SharedSecret | PrivateKey
    audience: str | None = None
    resource: str | None = None
    scope: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def form(self, now: datetime) -> dict[str, str]:
        """The request's form. Raises AuthFailed when the key can't sign."""
        wanted = {"audience": self.audience, "resource": self.resource, "scope": self.scope}
        asked = {name: value for name, value in wanted.items() if value is not None}
        return {"grant_type": "client_credentials", **asked, **self.proof.fields(self, now)}

    @property
    def key(self) -> str:
        """What tells this grant's tokens from others'; made of nothing secret."""
        parts = (self.token_url, self.client_id, self.audience, self.resource, self.scope)
        return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()


class ClientCredentials(Auth):
    """A bearer token that is fetched, kept, and renewed at three quarters of its life, or once when it is refused.

    It is fetched once for all that share `tokens`: while one fetches, the others use the old token as long as it lasts,
    or else look now and then whether the new one is there, ten seconds at most.
    A request raises, besides its own errors, those of the token endpoint: AuthFailed when it refuses the client.
    """

    def __init__(
        self,
        grant: Grant,
        wire: Wire,
        clock: Callable[[], datetime],
        tokens: TokenCache,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._grant, self._wire, self._clock, self._tokens, self._sleep = grant, wire, clock, tokens, sleep
        self._lock = Lock()
        self._sent: Token | None = None

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with a token that is not about to end."""
        with self._lock:
            if self._sent is None or not self._is_young(self._sent):
                self._sent = self._obtained(self._is_young, spare=lambda token: token.lasts(self._clock()))
            request.headers["Authorization"] = f"Bearer {self._sent.value}"
        return request

    def renew(self) -> bool:
        """Have another token, fetched unless another than the refused one is here. There is always one more to try."""
        with self._lock:
            refused = self._sent.value if self._sent else None
            self._sent = self._obtained(lambda token: token.value != refused)
        return True

    def identity(self) -> str:
        """Who asks, and for what; the token itself changes."""
        return self._grant.key

    def secrets(self) -> Iterable[str]:
        """The token and the shared secret."""
        proof = self._grant.proof
        return [
            *([self._sent.value] if self._sent else []),
            *([proof.secret] if isinstance(proof, SharedSecret) else []),
        ]

    def close(self) -> None:
        """Close the connection to the token endpoint."""
        self._wire.close()

    def _is_young(self, token: Token) -> bool:
        return self._clock() < token.renew_at

    def _obtained(self, wanted: Callable[[Token], bool], spare: Callable[[Token], bool] = lambda _: False) -> Token:
        """A token as wanted: kept, or fetched. A spare one will do while another fetches one.

        Raises Unavailable when another takes too long to fetch it.
        """
        for glance in range(_GLANCES):
            if glance:
                self._sleep(_BETWEEN_GLANCES_S)
            kept = self._tokens.get(self._grant.key)
            if kept and wanted(kept):
                return kept
            claim = self._tokens.claim(self._grant.key)
            if claim:
                return self._claimed(claim, wanted)
            if kept and spare(kept):
                return kept
        raise Unavailable("The token endpoint: another worker has been asking it for long.")

    def _claimed(self, claim: str, wanted: Callable[[Token], bool]) -> Token:
        """A token that is ours to fetch, unless another was kept just before the claim."""
        try:
            kept = self._tokens.get(self._grant.key)
            return kept if kept and wanted(kept) else self._fetch()
        finally:
            self._tokens.release(self._grant.key, claim)

    def _fetch(self) -> Token:
        now, grant = self._clock(), self._grant
        request = Request(method="POST", url=grant.token_url, headers=lambda: grant.headers, form=grant.form(now))
        try:
            token = _read(understood(self._wire.send(request), now), now)
        except Refused as refusal:
            # an OAuth error is a 400 with its name in `error` (RFC 6749, section 5.2): a person must act
            error = AuthFailed if refusal.kind else ContractBroken
            raise error(concealed(f"The token endpoint: {refusal.detail}", self.secrets())) from None
        except ProviderError as error:
            error.detail = concealed(f"The token endpoint: {error.detail}", self.secrets())
            raise
        self._tokens.put(grant.key, token)
        return token


def _read(answer: Answer, now: datetime) -> Token:
    """The token of an answer, `{access_token, expires_in}`; a life that is not stated is taken to be five minutes."""
    value = member(answer.json, "access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value.strip():
        raise ContractBroken("The answer holds no access token.")
    life = _life(member(answer.json, "expires_in"))
    return Token(value, now + life * _RENEWED_AT, now + life)


def _life(expires_in: object) -> timedelta:
    try:
        seconds = float(expires_in) if isinstance(expires_in, str | int | float) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not seconds > 0:
        return _UNSTATED_LIFE
    return timedelta(seconds=min(seconds, _LONGEST_LIFE.total_seconds()))
