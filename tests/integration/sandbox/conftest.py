from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import requests

from worker.sandbox import HandClock, Sandbox

Ask = Callable[..., requests.Response]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(datetime(2026, 3, 20, 12, tzinfo=UTC))


@pytest.fixture
def sandbox(clock: HandClock) -> Iterator[Sandbox]:
    with Sandbox(clock) as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def registrar(sandbox: Sandbox, session: requests.Session) -> Ask:
    """Asks Realtime Register, with its key, for a path below the customer's notifications."""
    api = sandbox.realtime_register
    session.headers["Authorization"] = f"ApiKey {api.api_key}"
    url = f"{api.base_url}/customers/sandbox%40example.nl/notifications"

    def ask(path: str = "", query: str = "", method: str = "GET") -> requests.Response:
        return session.request(method, f"{url}{path}{query and '?'}{query}", timeout=10)

    return ask


@pytest.fixture
def books(sandbox: Sandbox, session: requests.Session) -> Ask:
    """Asks Bookkeep, with its keys."""
    keys = (sandbox.bookkeep.publishable_key, sandbox.bookkeep.secret_key)

    def ask(path: str = "/notifications", **params: str) -> requests.Response:
        return session.get(sandbox.bookkeep.base_url + path, params=params, auth=keys, timeout=10)

    return ask


@pytest.fixture
def pushes(sandbox: Sandbox, session: requests.Session) -> Ask:
    """Asks GovApp, with a token and a new correlation id, for its list."""
    numbers = iter(range(1000))

    def ask(**params: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {sandbox.govapp.bearer}", "x-correlation-id": f"c-{next(numbers)}"}
        return session.get(f"{sandbox.govapp.base_url}/notifications", params=params, headers=headers, timeout=10)

    return ask
