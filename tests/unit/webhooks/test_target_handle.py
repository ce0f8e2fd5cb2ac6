from base64 import b64encode

import pytest

from worker.webhooks.handle import fixed_headers, hidden_texts
from worker.webhooks.target import Target

KEY = b"k" * 24


def target(url: str = "https://example.com/", headers: dict[str, str] | None = None) -> Target:
    return Target(name="erp", url=url, secrets=(KEY,), headers=headers or {})


def test_a_target_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="erp: there is no secret"):
        Target(name="erp", url="https://example.com/", secrets=())


def test_a_targets_repr_shows_no_secret() -> None:
    shown = repr(target("https://u:password@example.com/?token=abc", {"Authorization": "Bearer xyz"}))
    assert [word for word in ("password", "abc", "xyz", "kkkk") if word in shown] == []


def test_own_headers_are_sent_besides_ours() -> None:
    assert fixed_headers(target(headers={"X-Team": "erp", "X-Empty": ""}), "Tocsin/1") == [
        b"Content-Type: application/json",
        b"Expect:",
        b"User-Agent: Tocsin/1",
        b"X-Team: erp",
        b"X-Empty;",
    ]


@pytest.mark.parametrize(
    "name", ["Webhook-Id", "webhook-signature", "webhook-other", "Content-Type", "Content-Length", "Transfer-Encoding"]
)
def test_own_headers_never_replace_those_that_make_the_request(name: str) -> None:
    assert fixed_headers(target(headers={name: "forged"}), "T") == fixed_headers(target(), "T")


def test_an_own_user_agent_takes_the_place_of_ours() -> None:
    lines = fixed_headers(target(headers={"user-agent": "Mine/1"}), "Tocsin/1")
    assert [line for line in lines if line.lower().startswith(b"user-agent")] == [b"user-agent: Mine/1"]


@pytest.mark.parametrize(
    "secret",
    [
        b64encode(KEY).decode(),
        "Bearer longtoken",
        "longtoken",
        "pass%20word",
        "pass word",
        b64encode(b"user:pass word").decode(),
        "key=querysecret",
        "querysecret",
    ],
)
def test_what_a_receiver_was_trusted_with_is_hidden(secret: str) -> None:
    trusted = target("https://user:pass%20word@example.com/x?key=querysecret", {"Authorization": "Bearer longtoken"})
    assert secret.encode() in hidden_texts(trusted)


def test_short_header_values_are_left_readable() -> None:
    assert hidden_texts(target(headers={"X-Team": "erp"})) == (b64encode(KEY),)
