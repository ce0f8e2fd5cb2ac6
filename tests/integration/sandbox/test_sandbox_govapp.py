"""The stand-in for GovApp against PROVIDERS, section 3, and its token endpoint."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import jwt
import pytest
import requests

from worker.sandbox import HandClock, Sandbox
from worker.sandbox.govapp import RowOrder, message_correlation_id
from worker.sandbox.tokens import JWT_BEARER

Ask = Callable[..., requests.Response]


@pytest.fixture
def ids(sandbox: Sandbox, clock: HandClock) -> list[str]:
    """Seven rows, a minute apart, oldest first."""
    made = []
    for _ in range(7):
        made.append(sandbox.publish(1, "govapp")[0].external_id)
        clock.turn(timedelta(minutes=1))
    return made


def listed(response: requests.Response) -> list[str]:
    return [item["id"] for item in response.json().get("notifications", [])]


def test_a_request_needs_a_token_and_a_correlation_id_of_its_own(sandbox: Sandbox, session: requests.Session) -> None:
    url = f"{sandbox.govapp.base_url}/notifications"
    token = {"Authorization": f"Bearer {sandbox.govapp.bearer}"}
    headers: list[dict[str, str]] = [
        {"x-correlation-id": "a"},
        {"Authorization": "Bearer wrong", "x-correlation-id": "b"},
        token,
        {**token, "x-correlation-id": "c"},
        {**token, "x-correlation-id": "c"},
    ]
    answers = [session.get(url, headers=one, timeout=10) for one in headers]
    assert [answer.status_code for answer in answers] == [401, 401, 400, 200, 400]
    assert answers[3].headers["x-correlation-id"] == "c"
    assert set(answers[4].json()) == {"title", "status", "detail", "instance"}


@pytest.mark.parametrize(("omit", "expected"), [(1, {"totalAmount": 0}), (0, {"totalAmount": 0, "notifications": []})])
def test_an_empty_answer_may_leave_the_list_out(
    sandbox: Sandbox,
    pushes: Ask,
    omit: int,
    expected: dict[str, Any],
) -> None:
    sandbox.govapp.omit_empty = bool(omit)
    assert pushes().json() == expected


def test_the_order_is_stable_and_what_was_set(sandbox: Sandbox, pushes: Ask, ids: list[str]) -> None:
    shuffled = listed(pushes())
    assert (listed(pushes()), sorted(shuffled)) == (shuffled, sorted(ids))
    assert shuffled not in (ids, ids[::-1])
    sandbox.govapp.order = RowOrder.ASCENDING
    assert listed(pushes()) == ids
    sandbox.govapp.order = RowOrder.DESCENDING
    assert listed(pushes()) == ids[::-1]


def test_limit_and_offset_are_rows_and_the_total_ignores_them(sandbox: Sandbox, pushes: Ask, ids: list[str]) -> None:
    sandbox.govapp.order = RowOrder.ASCENDING
    answer = pushes(limit="3", offset="2")
    assert (listed(answer), answer.json()["totalAmount"]) == (ids[2:5], 7)


def test_time_bounds_are_exclusive_or_inclusive_as_set(sandbox: Sandbox, pushes: Ask, ids: list[str]) -> None:
    sandbox.govapp.order = RowOrder.ASCENDING
    bounds = {"sentAfter": "2026-03-20T12:01:00Z", "sentBefore": "2026-03-20T12:04:00.000000Z"}
    assert listed(pushes(**bounds)) == ids[2:4]
    sandbox.govapp.inclusive = True
    assert listed(pushes(**bounds)) == ids[1:5]


def test_a_row_whose_date_is_none_passes_every_bound(sandbox: Sandbox, pushes: Ask) -> None:
    sandbox.govapp.ledger.publish("odd", {"id": "odd", "createdOn": "some day"})
    assert listed(pushes(sentAfter="2030-01-01T00:00:00Z")) == ["odd"]


def test_statuses_are_filtered_repeated_or_as_a_list(sandbox: Sandbox, pushes: Ask, ids: list[str]) -> None:
    ledger = sandbox.govapp.ledger
    for place, word in ((0, "OPENED"), (1, "RECEIVED")):
        row = ledger.find(ids[place])
        assert row is not None
        ledger.change(ids[place], {**row.raw, "status": word}, row.state.status)
    assert sorted(listed(pushes(status="OPENED,RECEIVED"))) == sorted(ids[:2])
    assert listed(pushes(status="OPENED")) == ids[:1]


def test_one_message_is_had_by_its_correlation_id(pushes: Ask, ids: list[str]) -> None:
    assert listed(pushes(messageCorrelationId=message_correlation_id(ids[4]))) == [ids[4]]


@pytest.mark.parametrize("bad", [{"limit": "x"}, {"offset": "-1"}, {"sentAfter": "yesterday"}])
def test_a_bad_parameter_is_a_400(pushes: Ask, bad: dict[str, str]) -> None:
    assert pushes(**bad).status_code == 400


def test_another_path_is_not_found(sandbox: Sandbox, session: requests.Session) -> None:
    headers = {"Authorization": f"Bearer {sandbox.govapp.bearer}", "x-correlation-id": "a"}
    assert session.get(f"{sandbox.govapp.base_url}/other", headers=headers, timeout=10).status_code == 404


class Client:
    """Asks for tokens."""

    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self.govapp, self.session, self.numbers = sandbox.govapp, session, count()

    def token(self, **form: str) -> requests.Response:
        content = {"grant_type": "client_credentials", "client_id": self.govapp.tokens.client_id, **form}
        return self.session.post(self.govapp.token_url, data=content, timeout=10)

    def assertion(self, **claims: Any) -> str:
        now = self.govapp.clock()
        client = self.govapp.tokens.client_id
        usual = {
            "iss": client,
            "sub": client,
            "aud": self.govapp.token_url,
            "iat": now,
            "jti": f"j{next(self.numbers)}",
        }
        content = {**usual, "exp": now + timedelta(minutes=5), **claims}
        return jwt.encode(content, self.govapp.tokens.private_key, algorithm="RS256")

    def with_assertion(self, assertion: str, kind: str = JWT_BEARER) -> requests.Response:
        return self.token(client_assertion_type=kind, client_assertion=assertion)

    def reads(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "x-correlation-id": f"r{next(self.numbers)}"}
        return self.session.get(f"{self.govapp.base_url}/notifications", headers=headers, timeout=10).status_code


@pytest.fixture
def client(sandbox: Sandbox, session: requests.Session) -> Client:
    return Client(sandbox, session)


def test_a_token_for_the_right_secret_lives_for_an_hour(client: Client, clock: HandClock) -> None:
    answer = client.token(client_secret=client.govapp.tokens.client_secret, scope="read").json()
    assert (answer["token_type"], answer["scope"], answer["expires_in"]) == ("Bearer", "read", 3600)
    assert client.reads(answer["access_token"]) == 200
    clock.turn(timedelta(hours=1))
    assert client.reads(answer["access_token"]) == 401


def test_a_revoked_token_is_refused(client: Client) -> None:
    token = client.token(client_secret=client.govapp.tokens.client_secret).json()["access_token"]
    client.govapp.tokens.revoke()
    assert client.reads(token) == 401


def test_the_secret_may_come_as_basic_credentials(client: Client) -> None:
    tokens = client.govapp.tokens
    form, auth = {"grant_type": "client_credentials"}, (tokens.client_id, tokens.client_secret)
    assert client.session.post(client.govapp.token_url, data=form, auth=auth, timeout=10).status_code == 200


def test_a_wrong_secret_and_another_grant_are_refused(client: Client) -> None:
    assert client.token(client_secret="wrong").json()["error"] == "invalid_client"
    assert client.token(grant_type="password").json()["error"] == "unsupported_grant_type"
    assert client.govapp.tokens.issued == 0


def test_a_token_is_posted_for(client: Client) -> None:
    assert client.session.get(client.govapp.token_url, timeout=10).status_code == 405


def test_a_good_assertion_gives_a_token_once(client: Client) -> None:
    assertion = client.assertion()
    assert client.reads(client.with_assertion(assertion).json()["access_token"]) == 200
    assert client.with_assertion(assertion).json()["error_description"] == "assertion: jti was used before"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example/op"},
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"exp": datetime(2026, 3, 20, 12, 11, tzinfo=UTC)},
        {"exp": datetime(2026, 3, 20, 11, 59, tzinfo=UTC)},
        {"jti": None},
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(client: Client, claims: dict[str, Any]) -> None:
    response = client.with_assertion(client.assertion(**claims))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_an_assertion_of_another_type_is_refused(client: Client) -> None:
    assert client.with_assertion(client.assertion(), "saml").status_code == 401
