import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from tests.fakes import FakeClock
from tests.servers import Redis, wait_until
from worker.errors import RateLimited, Unavailable
from worker.rest.auth import ApiKey, Auth, Basic, Bearer
from worker.rest.budget import Budget, Budgets, BudgetUsedUp
from worker.rest.client import Api, Client, Means
from worker.rest.oauth import ClientCredentials, Grant, SharedSecret
from worker.rest.tokens import MemoryTokens
from worker.rest.wire import Wire
from worker.settings import Rate, SourceSettings
from worker.vault import Vault

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOURLY = Rate(6, timedelta(hours=1))

Serve = Callable[..., Any]
Make = Callable[..., Callable[[Any], None]]
Open = Callable[..., Budgets]


@pytest.fixture
def opened(clock: FakeClock) -> Iterator[Open]:
    """Opens what one process has: budgets counted at this address."""
    all_opened = []

    def make(broker: str = "memory://") -> Budgets:
        all_opened.append(Budgets(broker, clock))
        return all_opened[-1]

    yield make
    for budgets in all_opened:
        budgets.close()


@pytest.fixture(params=["memory", "redis_server", "valkey_server"])
def broker(request: pytest.FixtureRequest) -> str:
    """Where requests are counted: in memory, in an old Redis, in a new one."""
    if request.param == "memory":
        return "memory://"
    server: Redis = request.getfixturevalue(request.param)
    server.flush()
    return server.url


def taken(budget: Budget, tries: int, *, live: bool = True) -> int:
    """How many of these requests were let through."""
    passed = 0
    for _ in range(tries):
        with suppress(BudgetUsedUp):
            budget.take(live=live)
            passed += 1
    return passed


def test_a_budget_that_is_used_up_says_how_long_to_wait(opened: Open, broker: str) -> None:
    budget = opened(broker).of("a credential", HOURLY)

    assert taken(budget, 10) == 6
    with pytest.raises(RateLimited, match="6 requests in 3600 s") as caught:
        budget.take(live=True)
    assert caught.value.retry_after is not None
    assert timedelta(minutes=59) < caught.value.retry_after <= timedelta(hours=1)


def test_a_budget_refills_as_time_passes(opened: Open, broker: str) -> None:
    budget = opened(broker).of("a credential", Rate(2, timedelta(seconds=1)))

    assert taken(budget, 3) == 2
    wait_until(lambda: taken(budget, 1) == 1, within_s=5)


def test_what_is_not_live_leaves_a_third(opened: Open, broker: str) -> None:
    budget = opened(broker).of("a credential", HOURLY)

    assert taken(budget, 10, live=False) == 4
    with pytest.raises(BudgetUsedUp, match="A third of it is kept for polls"):
        budget.take(live=False)
    assert taken(budget, 10) == 2


def test_what_is_not_live_has_nothing_where_polls_took_it_all(opened: Open, broker: str) -> None:
    budget = opened(broker).of("a credential", HOURLY)

    assert (taken(budget, 10), taken(budget, 10, live=False)) == (6, 0)


def test_what_was_refused_is_not_counted(opened: Open, broker: str) -> None:
    budget = opened(broker).of("a credential", Rate(3, timedelta(seconds=1)))

    assert (taken(budget, 3), taken(budget, 50, live=False)) == (3, 0)
    wait_until(lambda: taken(budget, 1, live=False) == 1, within_s=5)


@pytest.mark.parametrize(("count", "passed"), [(1, 1), (2, 1), (3, 2), (100, 66)])
def test_two_thirds_of_a_small_budget_is_one_request_at_least(opened: Open, count: int, passed: int) -> None:
    budget = opened().of("a credential", Rate(count, timedelta(hours=1)))

    assert passed == taken(budget, count, live=False)


def test_all_sources_and_all_workers_share_the_budget_of_a_credential(opened: Open, redis_server: Redis) -> None:
    redis_server.flush()
    workers = [opened(redis_server.url).of("a credential", HOURLY) for _ in range(3)]

    assert sum(taken(budget, 3) for budget in workers) == 6


def test_a_budget_holds_when_many_ask_at_once(opened: Open, broker: str) -> None:
    budgets = opened(broker)
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        budget = budgets.of("a credential", Rate(20, timedelta(hours=1)))
        together.wait()
        return taken(budget, 10)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 20


def test_another_credential_has_a_budget_of_its_own(opened: Open, broker: str) -> None:
    budgets = opened(broker)

    assert [taken(budgets.of(name, HOURLY), 10) for name in ("one", "two")] == [6, 6]


def test_a_source_that_declares_no_budget_keeps_to_what_another_declares_of_its_credential(opened: Open) -> None:
    budgets = opened()
    silent = budgets.of("a credential", None)
    budgets.of("a credential", HOURLY)

    assert taken(silent, 10) == 6


def test_without_any_budget_everything_is_let_through(opened: Open) -> None:
    assert taken(opened("redis://127.0.0.1:1/0").of("a credential", None), 1000) == 1000


def test_what_sources_declare_differently_holds_together(opened: Open, broker: str) -> None:
    budgets = opened(broker)
    budgets.of("a credential", Rate(100, timedelta(hours=1)))

    assert taken(budgets.of("a credential", HOURLY), 10) == 6


def test_the_credential_is_not_seen_where_requests_are_counted(
    redis_server: Redis, clock: FakeClock, serve: Serve, answer: Make
) -> None:
    redis_server.flush()
    budgets = Budgets(redis_server.url, clock, Vault([Fernet.generate_key().decode()]).fingerprint)
    script = serve(answer())
    client = Client(
        Api(base_url=script.url, auth=ApiKey("the-secret-key"), provider="acme", budget=HOURLY), Means(budgets=budgets)
    )

    client.get("things")

    with redis.Redis.from_url(redis_server.url, decode_responses=True) as store:
        keys = store.keys()
    client.close()
    budgets.close()
    assert [True] == [key.startswith("tocsin:budget:") for key in keys]
    assert not any(word in keys[0] for word in ("secret", "acme", "127.0.0.1"))


def test_the_fingerprint_of_a_secret_can_not_be_made_without_our_key() -> None:
    one, other = (Vault([Fernet.generate_key().decode()]) for _ in range(2))

    assert one.fingerprint("secret") == one.fingerprint("secret")
    assert len({one.fingerprint("secret"), one.fingerprint("another"), other.fingerprint("secret")}) == 3


def test_a_redis_that_is_away_stops_nothing_and_is_told_once(opened: Open, clock: FakeClock) -> None:
    with Redis() as server, capture_logs() as logs:
        budget = opened(server.url).of("a credential", Rate(1, timedelta(hours=1)))
        server.kill()
        assert taken(budget, 20) == 20
        clock.at += timedelta(seconds=11)
        assert taken(budget, 20) == 20
        server.start()
        assert taken(budget, 3) == 3
        clock.at += timedelta(seconds=11)
        assert taken(budget, 3) == 1

    assert ["budget.not_counted", "budget.counted_again"] == [entry["event"] for entry in logs]


def test_a_redis_that_is_flushed_counts_anew(opened: Open, redis_server: Redis) -> None:
    redis_server.flush()
    budget = opened(redis_server.url).of("a credential", Rate(1, timedelta(hours=1)))
    assert taken(budget, 2) == 1

    redis_server.flush()
    with redis.Redis.from_url(redis_server.url) as store:
        store.script_flush()

    assert taken(budget, 2) == 1


@pytest.mark.parametrize("written", ["none", "required", "CERT_NONE", "CERT_REQUIRED"])
def test_a_secure_address_is_written_as_the_broker_has_it(opened: Open, written: str) -> None:
    budget = opened(f"rediss://127.0.0.1:1/0?ssl_cert_reqs={written}").of("a credential", HOURLY)

    with capture_logs() as logs:
        budget.take(live=True)

    assert ["ConnectionError"] == [entry["reason"] for entry in logs]


def test_every_try_of_a_request_is_counted(serve: Serve, answer: Make, opened: Open) -> None:
    script = serve(answer(500))
    api = Api(base_url=script.url, budget=Rate(5, timedelta(hours=1)))
    client = Client(api, Means(sleep=lambda _: None, budgets=opened()))

    with pytest.raises(Unavailable):
        client.get("things")
    with pytest.raises(BudgetUsedUp):
        client.get("things")

    client.close()
    assert len(script.asked) == 5


def test_a_client_in_the_background_leaves_a_third_to_the_live_one(serve: Serve, answer: Make, opened: Open) -> None:
    script = serve(answer())
    live = Client(Api(base_url=script.url, budget=HOURLY), Means(budgets=opened()))
    background = live.background()

    for _ in range(4):
        background.get("things")
    with pytest.raises(BudgetUsedUp):
        background.get("things")
    for _ in range(2):
        live.get("things")
    with pytest.raises(BudgetUsedUp):
        live.get("things")

    live.close()
    assert len(script.asked) == 6


def test_a_client_without_budgets_counts_nothing(serve: Serve, answer: Make) -> None:
    script = serve(answer())
    client = Client(Api(base_url=script.url, budget=Rate(1, timedelta(hours=1))))

    client.background().get("things")
    client.get("things")

    client.close()
    assert len(script.asked) == 2


def oauth(client_id: str) -> Auth:
    grant = Grant(token_url="https://t.example", client_id=client_id, proof=SharedSecret(secret="s"))
    return ClientCredentials(grant, Wire(), lambda: NOW, MemoryTokens())


def test_whose_budget_it_is_follows_from_provider_address_and_credentials() -> None:
    api: dict[str, Any] = {"provider": "acme", "base_url": "https://a.example/v1"}
    different = [
        Api(**api, auth=ApiKey("one")),
        Api(**api, auth=ApiKey("two")),
        Api(**api, auth=Bearer("one")),
        Api(**api, auth=Basic("one", "two")),
        Api(**api, auth=oauth("one")),
        Api(**api, auth=oauth("two")),
        Api(**api, headers={"X-Key": "one"}),
        Api(**api, headers={"X-Key": "two"}),
        Api(**{**api, "provider": "other"}, auth=ApiKey("one")),
        Api(**{**api, "base_url": "https://b.example/v1"}, auth=ApiKey("one")),
    ]
    same = Api(**{**api, "base_url": "https://a.example/v1/"}, auth=ApiKey("one"), headers={"X-Team": "erp"})

    assert len({one.account for one in different}) == len(different)
    assert same.account == different[0].account


def test_a_source_s_provider_and_budget_go_with_its_api() -> None:
    options = SourceSettings.model_validate({"provider": "acme", "budget": "60/m"})

    api = Api.of(options, "https://a.example", Auth())

    assert (api.provider, api.budget) == ("acme", Rate(60, timedelta(minutes=1)))
