"""Tokens in the database: fetched once for all workers, and sealed."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from tests.fakes import FakeClock
from worker.errors import Unavailable
from worker.rest.client import Api, Client, Means
from worker.rest.oauth import ClientCredentials, Grant, SharedSecret
from worker.rest.tokens import MemoryTokens, Token, TokenCache
from worker.rest.wire import Wire
from worker.shared_tokens import SharedTokens
from worker.store.session import Database
from worker.vault import Vault

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
KEY = Fernet.generate_key().decode()
HOUR = timedelta(hours=1)

Serve = Callable[..., Any]
Make = Callable[..., Callable[[Any], None]]
Worker = Callable[..., Client]


@pytest.fixture
def shared(database: Database, clock: FakeClock) -> SharedTokens:
    """The tokens as one worker has them."""
    return SharedTokens(database, Vault([KEY]), clock)


@pytest.fixture
def worker(means: Means, clock: FakeClock) -> Iterator[Worker]:
    """Makes a worker's client of an API, with tokens from a token endpoint, kept in a place of its own or a shared one.

    `sleep` is what happens while it waits for another's fetch.
    """
    clients = []

    def make(api: Any, tokens_at: Any, tokens: TokenCache, sleep: Callable[[float], None] = lambda _: None) -> Client:
        grant = Grant(token_url=f"{tokens_at.url}/token", client_id="client", proof=SharedSecret(secret="the-secret"))
        auth = ClientCredentials(grant, Wire(None, means.limits, means.sleep), clock, tokens, sleep)
        clients.append(Client(Api(base_url=api.url, auth=auth), means))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def token(value: str, expires_in: int = 3600) -> bytes:
    return json.dumps({"access_token": value, "token_type": "Bearer", "expires_in": expires_in}).encode()


def key_of(tokens_at: Any) -> str:
    return Grant(token_url=f"{tokens_at.url}/token", client_id="client", proof=SharedSecret(secret="s")).key


def sent(api: Any) -> list[str]:
    return [asked.headers["authorization"].removeprefix("Bearer ") for asked in api.asked]


def test_a_token_is_kept_with_its_times(shared: SharedTokens) -> None:
    kept = Token("the-token", NOW + 0.75 * HOUR, NOW + HOUR)

    assert shared.get("a grant") is None
    shared.put("a grant", kept)
    assert (shared.get("a grant"), shared.get("another")) == (kept, None)
    shared.put("a grant", Token("a newer", NOW + HOUR))
    assert shared.get("a grant") == Token("a newer", NOW + HOUR, NOW + HOUR)


def test_the_database_never_sees_the_token_itself(shared: SharedTokens, database: Database) -> None:
    shared.put("a grant", Token("the-token", NOW + HOUR))

    with database.reading() as session:
        row = dict(session.execute(text("SELECT * FROM token")).mappings().one())
    assert "the-token" not in repr(row)
    assert row["fingerprint"] == "a grant"


def test_a_token_that_was_sealed_with_a_lost_key_is_none(
    shared: SharedTokens, database: Database, clock: FakeClock
) -> None:
    shared.put("a grant", Token("the-token", NOW + HOUR))

    assert SharedTokens(database, Vault([Fernet.generate_key().decode()]), clock).get("a grant") is None


def test_one_worker_at_a_time_may_fetch(shared: SharedTokens) -> None:
    claim = shared.claim("a grant")

    assert claim
    assert (shared.claim("a grant"), bool(shared.claim("another"))) == (None, True)
    shared.release("a grant", claim)
    assert shared.claim("a grant")


def test_a_worker_that_was_killed_while_fetching_holds_up_nobody_for_long(
    shared: SharedTokens, clock: FakeClock
) -> None:
    lost = shared.claim("a grant") or ""
    clock.at += timedelta(seconds=44)
    assert shared.claim("a grant") is None

    clock.at += timedelta(seconds=1)
    claim = shared.claim("a grant") or ""
    shared.release("a grant", lost)

    assert claim != lost
    assert shared.claim("a grant") is None


def test_being_claimed_a_first_time_is_no_token_yet(shared: SharedTokens) -> None:
    shared.claim("a grant")

    assert shared.get("a grant") is None


def test_the_right_to_fetch_stays_while_a_token_is_kept(shared: SharedTokens) -> None:
    shared.claim("a grant")
    shared.put("a grant", Token("the-token", NOW + HOUR))

    assert shared.claim("a grant") is None


def test_a_token_is_fetched_once_for_all_workers(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens, database: Database, clock: FakeClock
) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("first")))
    worker(api, tokens_at, shared).get("things")

    worker(api, tokens_at, SharedTokens(database, Vault([KEY]), clock)).get("things")

    assert (sent(api), len(tokens_at.asked)) == (["first", "first"], 1)


def test_a_token_is_fetched_once_though_many_workers_need_it_at_once(
    serve: Serve, answer: Make, worker: Worker, database: Database, clock: FakeClock
) -> None:
    asked = threading.Event()

    def slowly(handler: Any) -> None:
        asked.wait(0.3)
        answer(body=token("first"))(handler)

    api, tokens_at = serve(answer()), serve(slowly)
    together = threading.Barrier(6)

    def ask(client: Client) -> None:
        together.wait()
        client.get("things")

    def pause(_: float) -> None:
        asked.wait(0.05)

    clients = [worker(api, tokens_at, SharedTokens(database, Vault([KEY]), clock), pause) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, clients))

    assert (sent(api), len(tokens_at.asked)) == (["first"] * 6, 1)


def test_no_transaction_is_open_while_a_token_is_fetched(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens, database: Database
) -> None:
    def while_fetching(handler: Any) -> None:
        with database.transaction() as session:
            session.execute(text("DELETE FROM token"))
        answer(body=token("first"))(handler)

    api, tokens_at = serve(answer()), serve(while_fetching)

    worker(api, tokens_at, shared).get("things")

    assert shared.get(key_of(tokens_at)) == Token("first", NOW + 0.75 * HOUR, NOW + HOUR)


def test_while_one_renews_a_token_the_others_go_on_with_the_old_one(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens, clock: FakeClock
) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("second")))
    shared.put(key_of(tokens_at), Token("first", NOW + 0.75 * HOUR, NOW + HOUR))
    clock.at += 0.8 * HOUR
    claim = shared.claim(key_of(tokens_at)) or ""
    client = worker(api, tokens_at, shared)

    client.get("things")
    shared.release(key_of(tokens_at), claim)
    client.get("things")

    assert (sent(api), len(tokens_at.asked)) == (["first", "second"], 1)


def test_whoever_has_no_token_waits_until_another_has_fetched_it(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens
) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("mine")))
    shared.claim(key_of(tokens_at))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            shared.put(key_of(tokens_at), Token("another's", NOW + HOUR))

    worker(api, tokens_at, shared, wait).get("things")

    assert (sent(api), tokens_at.asked, waits) == (["another's"], [], [0.25] * 3)


def test_nobody_waits_for_ever_for_another_s_fetch(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens
) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("mine")))
    shared.claim(key_of(tokens_at))
    waits: list[float] = []

    with pytest.raises(Unavailable, match="another worker has been asking"):
        worker(api, tokens_at, shared, waits.append).get("things")

    assert (api.asked, tokens_at.asked) == ([], [])
    assert 9 < sum(waits) <= 10


def test_a_token_that_has_ended_is_not_used_while_another_is_fetched(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens, clock: FakeClock
) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("mine")))
    shared.put(key_of(tokens_at), Token("first", NOW + 0.75 * HOUR, NOW + HOUR))
    shared.claim(key_of(tokens_at))
    clock.at += HOUR

    def wait(_: float) -> None:
        clock.at += timedelta(seconds=44)  # until the other's right to fetch has run out

    worker(api, tokens_at, shared, wait).get("things")

    assert sent(api) == ["mine"]


def test_a_refused_token_is_fetched_once_for_all_workers(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens
) -> None:
    api = serve(answer(), answer(), answer(401), answer(), answer(401), answer())
    tokens_at = serve(answer(body=token("first")), answer(body=token("second")))
    one, other = worker(api, tokens_at, shared), worker(api, tokens_at, shared)
    for client in (one, other, one, other):
        client.get("things")

    assert sent(api) == ["first", "first", "first", "second", "first", "second"]
    assert len(tokens_at.asked) == 2


def test_a_fetch_that_fails_gives_the_right_back(
    serve: Serve, answer: Make, worker: Worker, shared: SharedTokens
) -> None:
    api, tokens_at = serve(answer()), serve(*[answer(500)] * 3, answer(body=token("first")))

    with pytest.raises(Unavailable):
        worker(api, tokens_at, shared).get("things")
    worker(api, tokens_at, shared).get("things")

    assert sent(api) == ["first"]


def test_a_token_that_came_just_before_the_claim_is_used(serve: Serve, answer: Make, worker: Worker) -> None:
    api, tokens_at = serve(answer()), serve(answer(body=token("mine")))

    class Quicker(MemoryTokens):
        def claim(self, key: str) -> str | None:
            self.put(key, Token("another's", NOW + HOUR))
            return super().claim(key)

    tokens = Quicker()
    worker(api, tokens_at, tokens).get("things")

    assert (sent(api), tokens_at.asked) == (["another's"], [])
    assert tokens.claim(key_of(tokens_at))


def test_a_right_that_is_not_ours_is_not_given_back() -> None:
    tokens = MemoryTokens()
    claim = tokens.claim("a grant") or ""

    tokens.release("a grant", "another's")

    assert tokens.claim("a grant") is None
    tokens.release("a grant", claim)
    assert tokens.claim("a grant")
