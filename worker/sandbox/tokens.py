"""An OAuth2 token endpoint for client credentials, by secret or by private-key JWT (PROVIDERS 3.1)."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from worker.sandbox.wire import Answer, Request, as_json

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_ASSERTION = timedelta(minutes=10)


class Denied(ValueError):
    """The client is not who it says, or asks for what it may not have; OAuth2's own word for it."""


class Tokens:
    """Gives tokens that live for `life`, and knows which are good. Thread-safe.

    `audience` is what an assertion's `aud` must be; `issued` counts the tokens; `forms` holds what was posted.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = Lock()
        self.client_id = "sandbox-client"
        self.client_secret = "sandbox-client-secret-of-govapp"  # noqa: S105  # of the sandbox
        self.audience = ""
        self.life = timedelta(hours=1)
        self.issued = 0
        self.forms: list[dict[str, str]] = []
        self._good: dict[str, datetime] = {}
        self._seen: set[str] = set()

    @cached_property
    def private_key(self) -> str:
        """The client's key in PEM, made when it is first asked for; the matching public one verifies assertions."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def accepts(self, token: str) -> bool:
        """Whether this token is ours, not revoked and not ended."""
        with self._lock:
            return self._good.get(token, datetime.min.replace(tzinfo=UTC)) > self._clock()

    def revoke(self) -> None:
        """No token that was given so far is good."""
        with self._lock:
            self._good.clear()

    def answer(self, request: Request) -> Answer:
        """A token, or OAuth2's error JSON: 401 for the client, 400 for the rest."""
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        self.forms.append(form)
        if form.get("grant_type") != "client_credentials":
            return as_json({"error": "unsupported_grant_type"}, 400)
        try:
            self._identify(form, request.headers.get("authorization", ""))
        except Denied as denied:
            return as_json({"error": "invalid_client", "error_description": str(denied)}, 401)
        return as_json(self._issue(form.get("scope", "")), headers={"Cache-Control": "no-store"})

    def _issue(self, scope: str) -> dict[str, Any]:
        with self._lock:
            self.issued += 1
            token = f"sandbox-token-{self.issued}"
            self._good[token] = self._clock() + self.life
        seconds = int(self.life.total_seconds())
        return {"access_token": token, "token_type": "Bearer", "scope": scope, "expires_in": seconds}

    def _identify(self, form: dict[str, str], authorization: str) -> None:
        if "client_assertion" in form:
            self._verify(form)
            return
        basic = "Basic " + base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        by_form = (form.get("client_id"), form.get("client_secret")) == (self.client_id, self.client_secret)
        if not by_form and authorization != basic:
            raise Denied("unknown client or wrong secret")

    def _verify(self, form: dict[str, str]) -> None:
        """RS256, `iss` = `sub` = the client, `aud` exact, `exp` within 10 minutes, a `jti` never seen before."""
        if form.get("client_assertion_type") != JWT_BEARER:
            raise Denied("unknown client_assertion_type")
        try:
            claims = jwt.decode(
                form["client_assertion"],
                self._key.public_key(),
                algorithms=["RS256"],
                audience=self.audience,
                issuer=self.client_id,
                options={
                    "require": ["iss", "sub", "aud", "iat", "exp", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError as wrong:
            raise Denied(f"assertion: {wrong}") from wrong
        self._check(claims)

    def _check(self, claims: dict[str, Any]) -> None:
        now = self._clock()
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        if claims["sub"] != self.client_id:
            raise Denied("assertion: sub is not the client")
        if not now < expires_at <= now + _LONGEST_ASSERTION:
            raise Denied("assertion: exp is past or too far away")
        with self._lock:
            if claims["jti"] in self._seen:
                raise Denied("assertion: jti was used before")
            self._seen.add(claims["jti"])
