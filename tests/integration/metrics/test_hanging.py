"""What is answered while PostgreSQL hangs: stopped, its kernel still takes connections, so nothing fails of itself."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Thread
from threading import enumerate as threads
from time import monotonic

import pytest
from prometheus_client import CollectorRegistry

from tests.integration.metrics.scraped import get, scrape
from tests.servers import Postgres, free_port, wait_until
from worker.health import look, told
from worker.metrics import Server, Stored, health_page, metrics_page
from worker.settings import Listening, Places
from worker.store.session import Database

_PATIENCE_S = 0.5
_SOON_S = 3.0  # on a busy machine


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def served(postgres: Postgres, migrated_template: str) -> Iterator[int]:
    """The port of both pages."""
    url = postgres.create(migrated_template)
    registry = CollectorRegistry()
    with closing(Database(url)) as database:
        stored = Stored(database, [], [], now)
        stored.patience_s = _PATIENCE_S
        registry.register(stored)
        places, patience = Places(url, "memory://"), timedelta(seconds=_PATIENCE_S)
        pages = {
            "/metrics": metrics_page(registry, stored.look),
            "/healthz": health_page(lambda: told(look(places, now, patience))),
        }
        with Server(Listening("127.0.0.1", free_port()), pages) as opened:
            yield opened.port
    postgres.drop(url)


def looks() -> int:
    return len([thread for thread in threads() if thread.name == "metrics-look"])


def test_both_pages_say_so_soon_and_a_child_is_forked_at_once(served: int, postgres: Postgres) -> None:
    with postgres.hanging():
        scrapes = [Thread(target=get, args=(served, "/metrics")) for _ in range(6)]
        for each in scrapes:
            each.start()
        wait_until(lambda: looks() == 1)
        began = monotonic()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert get(served, "/healthz")[0] == 503
        assert scrape(served)["tocsin_database_up",] == 0
        assert monotonic() - began < _SOON_S
        for each in scrapes:
            each.join()
        assert looks() == 1
    wait_until(lambda: scrape(served)["tocsin_database_up",] == 1)
    assert looks() == 0
