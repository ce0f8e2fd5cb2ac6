from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from worker.providers import PROVIDERS

RSA = rsa.generate_private_key(65537, 2048)
PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
LOCKED = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
CURVE = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

OAUTH = {"kind": "oauth2", "token_url": "https://t.example/token", "client_id": "client"}
KEYS: dict[str, dict[str, Any]] = {
    "realtime_register": {"customer": "acme", "api_key": "key"},
    "bookkeep": {"publishable_key": "p", "secret_key": "s"},
    "govapp": {"base_url": "https://api.example", "auth": {"kind": "bearer", "token": "t"}},
}


def options(slug: str, **keys: Any) -> Any:
    return PROVIDERS[slug].options.model_validate({"provider": slug} | KEYS[slug] | keys)


def problems(slug: str, **keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        options(slug, **keys)
    return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors())


@pytest.mark.parametrize("slug", sorted(KEYS))
def test_the_least_that_is_needed_is_enough(slug: str) -> None:
    assert options(slug).provider == slug


@pytest.mark.parametrize("slug", sorted(KEYS))
def test_each_key_that_is_needed_is_asked_for(slug: str) -> None:
    for name in KEYS[slug]:
        keys = {key: value for key, value in KEYS[slug].items() if key != name}

        with pytest.raises(ValidationError, match=name):
            PROVIDERS[slug].options.model_validate({"provider": slug} | keys)


@pytest.mark.parametrize("customer", ["abc", "a" * 40, "a.b-c_d@e", "ACME"])
def test_a_customer_s_handle_is_taken_as_it_is(customer: str) -> None:
    assert options("realtime_register", customer=customer).customer == customer


@pytest.mark.parametrize("customer", ["ab", "a" * 41, "a b c", "a/b", "äbc", "abc\n", ""])
def test_what_is_no_customer_s_handle_is_refused(customer: str) -> None:
    assert "is not a customer's handle" in problems("realtime_register", customer=customer)


@pytest.mark.parametrize("organization_id", [0, -1, "1", True, 1.5])
def test_an_organization_is_a_positive_whole_number(organization_id: object) -> None:
    assert "organization_id" in problems("bookkeep", organization_id=organization_id)


def test_govapp_has_no_host_of_its_own() -> None:
    assert "base_url" in problems("govapp", base_url=None)


@pytest.mark.parametrize(
    "auth",
    [
        {"kind": "bearer", "token": "t"},
        {"kind": "basic", "username": "u", "password": "p"},
        OAUTH | {"client_secret": "s"},
        OAUTH | {"private_key": PEM},
        OAUTH
        | {
            "private_key": PEM,
            "assertion_audience": "a",
            "key_id": "k",
            "audience": "a",
            "resource": "r",
            "scope": "s",
        },
    ],
)
def test_each_way_to_show_credentials_is_taken(auth: dict[str, Any]) -> None:
    assert options("govapp", auth=auth).auth.kind == auth["kind"]


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        (OAUTH, "exactly one of them"),
        (OAUTH | {"client_secret": "s", "private_key": PEM}, "exactly one of them"),
        (OAUTH | {"client_secret": "s", "key_id": "k"}, "belong to private_key"),
        (OAUTH | {"private_key": "nonsense"}, "is not a private key in PEM without a password"),
        (OAUTH | {"private_key": LOCKED}, "is not a private key in PEM without a password"),
        (OAUTH | {"private_key": CURVE.decode()}, "is not an RSA key"),
        (OAUTH | {"client_secret": "s", "token_url": "ftp://t"}, "token_url"),
        (OAUTH | {"client_secret": "s", "client_id": ""}, "client_id"),
        ({"kind": "digest"}, "'oauth2', 'bearer', 'basic'"),
        ({"kind": "bearer", "token": "t", "username": "u"}, "username"),
        ({"token": "t"}, "kind"),
        ("bearer", "auth"),
    ],
)
def test_what_is_wrong_with_credentials_is_said(auth: object, said: str) -> None:
    assert said in problems("govapp", auth=auth)


def test_a_private_key_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        options("govapp", auth=OAUTH | {"private_key": CURVE.decode()})

    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize(("slug", "secret"), [("realtime_register", "key"), ("govapp", "token")])
def test_no_secret_is_in_a_repr(slug: str, secret: str) -> None:
    assert "**********" in repr(options(slug))
    assert f"'{secret}'" not in repr(options(slug))


def test_the_format_of_govapp_s_times_is_one_of_two() -> None:
    assert options("govapp").time_format == "seconds"
    assert "time_format" in problems("govapp", time_format="days")
