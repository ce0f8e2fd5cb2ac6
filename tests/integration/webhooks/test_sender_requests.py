"""What a receiver gets to see."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.webhooks.receivers import Receiver, answering
from tests.integration.webhooks.sending import KEY, all_finished, due, outcome_of, sender, target

Receive = Callable[..., Receiver]


def test_a_request_has_the_headers_of_the_interface(receive: Receive) -> None:
    receiver = receive(answering(204))
    outcome_of(receiver.url, headers={"X-Team": "erp", "X-Empty": "", "Webhook-Id": "forged", "Content-Type": "no"})
    [request] = receiver.requests
    assert request.line == "POST /receive HTTP/1.1"
    assert sorted(request.headers) == [
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "x-empty",
        "x-team",
    ]
    found = [request.headers[name] for name in ("content-type", "user-agent", "x-team", "x-empty")]
    assert found == ["application/json", "Tocsin/1.2.3", "erp", ""]
    assert request.headers["webhook-id"].startswith("msg_")


def test_the_receivers_library_accepts_what_arrives(receive: Receive) -> None:
    receiver = receive(answering(204))
    other = b"another secret, while they rotate"
    outcome_of(receiver.url, body='{"naïve": true}'.encode(), secrets=(KEY, other))
    [request] = receiver.requests
    for key in (KEY, other):
        webhook = standardwebhooks.Webhook("whsec_" + b64encode(key).decode())
        assert webhook.verify(request.body, request.headers) == {"naïve": True}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=10_000))
def test_the_bytes_that_arrive_are_those_that_were_given(receive: Receive, body: bytes) -> None:
    receiver = receive(answering(204))
    outcome_of(receiver.url, body=body)
    assert receiver.requests[-1].body == body


def test_a_large_body_is_sent_without_being_asked_for(receive: Receive) -> None:
    receiver = receive(answering(204))
    body = b"x" * 3_000_000
    outcome_of(receiver.url, body=body)
    assert [receiver.requests[0].body == body, "expect" in receiver.requests[0].headers] == [True, False]


def test_each_attempt_is_signed_at_its_own_time(receive: Receive) -> None:
    receiver = receive(answering(204))
    ticks = iter(range(1000))
    again = due()
    with sender(
        {"erp": target(receiver.url)}, clock=lambda: datetime.fromtimestamp(1_800_000_000 + next(ticks), UTC)
    ) as sending:
        for _ in range(2):
            sending.begin([again])
            all_finished(sending)
    first, second = (request.headers for request in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] < second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_credentials_in_the_url_are_sent_as_basic(receive: Receive) -> None:
    receiver = receive(answering(204))
    outcome_of(receiver.url.replace("://", "://user:pass%20word@"))
    assert receiver.requests[0].headers["authorization"] == "Basic " + b64encode(b"user:pass word").decode()


def test_a_url_that_is_not_ascii_is_encoded(receive: Receive) -> None:
    receiver = receive(answering(204))
    outcome_of(receiver.url + "/straße?q=größe")
    assert receiver.requests[0].line == "POST /receive/stra%C3%9Fe?q=gr%C3%B6%C3%9Fe HTTP/1.1"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_environment_is_ignored(receive: Receive, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    proxy, receiver = receive(answering(500)), receive(answering(204))
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert [outcome_of(receiver.url).status_code, proxy.connections] == [204, 0]


def test_cookies_are_not_kept(receive: Receive) -> None:
    receiver = receive(answering(204, Set_Cookie="session=1"))
    with sender({"erp": target(receiver.url)}) as sending:
        for _ in range(2):
            sending.begin([due()])
            all_finished(sending)
    assert ["cookie" in request.headers for request in receiver.requests] == [False, False]
