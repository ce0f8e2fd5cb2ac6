import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes import FakeClock
from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.provider import Window
from worker.providers import PROVIDERS, build
from worker.rest.client import Client, Means
from worker.rest.oauth import ClientCredentials, Grant, PrivateKey, SharedSecret
from worker.rest.tokens import MemoryTokens, Token
from worker.rest.wire import Wire

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
SECRET = SharedSecret(secret="the-client-secret")

Serve = Callable[..., Any]
Connect = Callable[..., Client]
Make = Callable[..., Callable[[Any], None]]
Ask = Callable[..., Any]


@pytest.fixture
def asker(means: Means, connect: Connect, clock: FakeClock) -> Ask:
    """Makes a client of an API whose tokens come from a token endpoint."""

    def make(api: Any, tokens_at: Any, proof: Any = SECRET, cache: Any = None, **grant: Any) -> Client:
        wire = Wire(None, means.limits, means.sleep)
        asked = Grant(token_url=f"{tokens_at.url}/token", client_id="client", proof=proof, **grant)
        return connect(api, auth=ClientCredentials(asked, wire, clock, cache or MemoryTokens()))

    return make


def token(value: str = "token-1", **members: Any) -> bytes:
    return json.dumps({"access_token": value, "token_type": "Bearer", "expires_in": 3600} | members).encode()


def form(asked: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode(), strict_parsing=True).items()}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_token_is_fetched_with_the_secret_as_a_form_field(serve: Serve, answer: Make, asker: Ask) -> None:
    api, tokens_at = serve(answer(body=b"[1]")), serve(answer(body=token()))

    got = asker(api, tokens_at, scope="read write", audience="an api", resource="https://r").get("things")

    assert got.json == [1]
    assert api.asked[0].headers["authorization"] == "Bearer token-1"
    assert (tokens_at.asked[0].method, tokens_at.asked[0].path) == ("POST", "/token")
    assert tokens_at.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert form(tokens_at.asked[0]) == {
        "grant_type": "client_credentials",
        "client_id": "client",
        "client_secret": "the-client-secret",
        "scope": "read write",
        "audience": "an api",
        "resource": "https://r",
    }


def test_what_is_not_configured_is_not_sent(serve: Serve, answer: Make, asker: Ask) -> None:
    tokens_at = serve(answer(body=token()))

    asker(serve(answer()), tokens_at).get("things")

    assert form(tokens_at.asked[0]).keys() == {"grant_type", "client_id", "client_secret"}
    assert "authorization" not in tokens_at.asked[0].headers


@pytest.mark.parametrize("audience", [None, "https://login.example/op"])
def test_an_assertion_is_signed_with_the_private_key(
    serve: Serve, answer: Make, asker: Ask, audience: str | None
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    api, tokens_at = serve(answer()), serve(answer(body=token()))

    asker(api, tokens_at, PrivateKey(pem=pem(key), audience=audience, key_id="key 1"), audience="an api").get("things")

    sent = form(tokens_at.asked[0])
    claims = jwt.decode(
        sent["client_assertion"],
        key.public_key(),
        ["RS256"],
        audience=audience or f"{tokens_at.url}/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert (sent["audience"], "client_secret" in sent) == ("an api", False)
    assert (claims["iss"], claims["sub"], claims["iat"]) == ("client", "client", int(NOW.timestamp()))
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert jwt.get_unverified_header(sent["client_assertion"])["kid"] == "key 1"


def test_each_assertion_has_an_id_of_its_own_and_no_key_id_unless_configured(
    serve: Serve, answer: Make, asker: Ask
) -> None:
    tokens_at = serve(answer(body=token("a")), answer(body=token("b")))

    with pytest.raises(AuthFailed):
        asker(serve(answer(401)), tokens_at, PrivateKey(pem=pem(rsa.generate_private_key(65537, 2048)))).get("things")

    assertions = [form(asked)["client_assertion"] for asked in tokens_at.asked]
    ids = {jwt.decode(one, options={"verify_signature": False})["jti"] for one in assertions}
    assert (len(ids), "kid" in jwt.get_unverified_header(assertions[0])) == (2, False)


@pytest.mark.parametrize("key", ["no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_can_not_sign_is_for_a_person_to_mend(serve: Serve, answer: Make, asker: Ask, key: str) -> None:
    tokens_at = serve(answer(body=token()))

    with pytest.raises(AuthFailed, match="no RSA key") as caught:
        asker(serve(answer()), tokens_at, PrivateKey(pem=key)).get("things")

    assert (tokens_at.asked, key in str(caught.value)) == ([], False)


def test_a_token_is_kept_until_three_quarters_of_its_life(
    serve: Serve, answer: Make, asker: Ask, clock: FakeClock
) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("first")), answer(body=token("second")))
    client = asker(api, tokens_at)

    for after in (0, 2699, 2700):
        clock.at = NOW + timedelta(seconds=after)
        client.get("things")

    sent = [asked.headers["authorization"] for asked in api.asked]
    assert sent == ["Bearer first", "Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 2700),
        ("600", 450),
        (None, 225),
        (0, 225),
        (-5, 225),
        ("soon", 225),
        ([], 225),
        (1e300, 64800),
        (10**400, 225),
    ],
)
def test_a_life_that_makes_no_sense_is_five_minutes_or_a_day(
    serve: Serve, answer: Make, asker: Ask, expires_in: object, seconds: int
) -> None:
    kept: list[Token] = []

    class Noting(MemoryTokens):
        def put(self, key: str, token: Token) -> None:
            kept.append(token)
            super().put(key, token)

    asker(serve(answer()), serve(answer(body=token(expires_in=expires_in))), cache=Noting()).get("things")

    assert [one.renew_at for one in kept] == [NOW + timedelta(seconds=seconds)]


def test_a_refused_token_is_fetched_anew_once(serve: Serve, answer: Make, asker: Ask) -> None:
    api = serve(answer(401), answer(body=b"[1]"))
    tokens_at = serve(answer(body=token("first")), answer(body=token("second")))

    assert asker(api, tokens_at).get("things").json == [1]
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer first", "Bearer second"]


def test_a_token_that_is_refused_again_is_for_a_person_to_mend(serve: Serve, answer: Make, asker: Ask) -> None:
    api, tokens_at = serve(answer(401)), serve(answer(body=token()))

    with pytest.raises(AuthFailed):
        asker(api, tokens_at).get("things")

    assert (len(api.asked), len(tokens_at.asked)) == (2, 2)


def test_a_403_is_not_tried_again(serve: Serve, answer: Make, asker: Ask) -> None:
    api, tokens_at = serve(answer(403)), serve(answer(body=token()))

    with pytest.raises(AuthFailed):
        asker(api, tokens_at).get("things")

    assert (len(api.asked), len(tokens_at.asked)) == (1, 1)


def test_a_token_that_another_fetched_meanwhile_is_used(serve: Serve, answer: Make, asker: Ask) -> None:
    cache = MemoryTokens()
    fetched = serve(answer(body=token("first")))

    class Other:
        """Refuses the first token; by then another worker has kept a second one."""

        def __call__(self, handler: Any) -> None:
            cache.put(self.key, Token("second", NOW + timedelta(hours=1)))
            answer(401)(handler)

        key = Grant(token_url=f"{fetched.url}/token", client_id="client", proof=SECRET).key

    api = serve(Other(), answer(body=b"[1]"))

    assert asker(api, fetched, cache=cache).get("things").json == [1]
    assert (api.asked[1].headers["authorization"], len(fetched.asked)) == ("Bearer second", 1)


def test_tokens_of_other_grants_are_not_mixed_up() -> None:
    grants = [
        Grant(token_url="https://t", client_id="c", proof=SECRET),
        Grant(token_url="https://t", client_id="d", proof=SECRET),
        Grant(token_url="https://t", client_id="c", proof=SECRET, scope="s"),
        Grant(token_url="https://t", client_id="c", proof=SECRET, audience="s"),
    ]

    assert len({grant.key for grant in grants}) == 4


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error": "invalid_client", "error_description": "the-client-secret is wrong"}', AuthFailed),
        (400, b'{"error": "invalid_scope"}', AuthFailed),
        (400, b"<h1>Bad</h1>", ContractBroken),
        (401, b'{"error": "invalid_client"}', AuthFailed),
        (403, b"", AuthFailed),
        (404, b"", ContractBroken),
        (302, b"", ContractBroken),
        (429, b"", RateLimited),
        (500, b"", Unavailable),
        (200, b"no json", ContractBroken),
        (200, b"{}", ContractBroken),
        (200, b'{"access_token": ""}', ContractBroken),
        (200, b'{"access_token": "a\\nb"}', ContractBroken),
        (200, b'{"access_token": 5}', ContractBroken),
    ],
)
def test_each_refusal_of_the_token_endpoint_says_whose_move_it_is(
    serve: Serve, answer: Make, asker: Ask, status: int, body: bytes, expected: type[ProviderError]
) -> None:
    api = serve(answer())

    with pytest.raises(ProviderError, match="The token endpoint:") as caught:
        asker(api, serve(answer(status, body))).get("things")

    assert (type(caught.value), api.asked) == (expected, [])
    assert "the-client-secret" not in str(caught.value)


def test_a_token_endpoint_that_is_out_of_order_is_tried_three_times(serve: Serve, answer: Make, asker: Ask) -> None:
    tokens_at = serve(answer(500))

    with pytest.raises(Unavailable):
        asker(serve(answer()), tokens_at).get("things")

    assert len(tokens_at.asked) == 3


def test_nothing_secret_is_in_a_repr() -> None:
    grant = Grant(token_url="https://t", client_id="c", proof=SECRET, headers={"X-Key": "the-header"})
    shown = repr((grant, PrivateKey(pem="the-pem"), Token("the-token", NOW)))

    assert not any(secret in shown for secret in ("the-client-secret", "the-pem", "the-token", "the-header"))


def test_a_source_s_header_that_the_token_endpoint_repeats_is_not_shown(
    serve: Serve, answer: Make, means: Means
) -> None:
    script = serve(answer(400, b'{"error": "invalid_request", "error_description": "the-header of the-secret"}'))
    written = {
        "provider": "govapp",
        "base_url": script.url,
        "auth": {"kind": "oauth2", "token_url": script.url, "client_id": "us", "client_secret": "the-secret"},
        "headers": {"X-Key": "the-header"},
    }
    provider, client = build(PROVIDERS["govapp"].options.model_validate(written), means)

    with pytest.raises(AuthFailed) as caught:
        list(provider.pages(Window()))

    client.close()
    assert str(caught.value).endswith("invalid_request: … of …")


def test_a_token_that_the_provider_repeats_is_not_shown(serve: Serve, answer: Make, asker: Ask) -> None:
    api = serve(answer(400, b"token-1 and the-client-secret"))

    with pytest.raises(ContractBroken) as caught:
        asker(api, serve(answer(body=token()))).get("things")

    assert str(caught.value).endswith("It answered 400: … and …")
