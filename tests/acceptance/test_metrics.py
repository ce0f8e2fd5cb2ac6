"""Metrics of real processes: `tocsin run`, and workers whose children count together (DELIVERY, section 6)."""

import socket
import sys

import psutil  # type: ignore[import-untyped]
import pytest

from tests.acceptance.processes import COMMAND, Running, Tocsin
from tests.integration.metrics.scraped import get, scrape
from tests.servers import Redis

_CELERY = (sys.executable, "-m", "celery", "-A")
_WORKER = (*_CELERY, "worker.app", "worker", "--concurrency=2", "--without-gossip", "--without-mingle")
_BEAT = (*_CELERY, "schedules.beat", "beat")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def measured(tocsin: Tocsin, port: int) -> Tocsin:
    tocsin.configure("1s", metrics=f"127.0.0.1:{port}")
    return tocsin


def total(port: int, name: str) -> float:
    return sum(value for key, value in scrape(port).items() if key[0] == name)


def arrives(tocsin: Tocsin, process: Running) -> None:
    process.until(lambda: not tocsin.sandbox.broken_promises(), "everything has arrived")


def test_run_serves_what_it_counted_and_what_the_database_says(measured: Tocsin, port: int) -> None:
    measured.sandbox.publish(9)
    with measured.run() as process:
        arrives(measured, process)
        process.until(lambda: total(port, "tocsin_attempts_total") >= 9, "every attempt is counted")
        process.until(lambda: total(port, "tocsin_notifications_new_total") >= 9, "so is every notification")
        found = scrape(port)
        sources = {key[1] for key in found if key[0] == "tocsin_source_lag_seconds"}
        assert sources == {"bookkeep", "govapp", "realtime_register"}
        assert found["tocsin_database_up",] == 1
        assert total(port, "tocsin_notifications_new_total") == 9
        assert total(port, "tocsin_stored_to_delivered_seconds_count") == 9
        text = get(port, "/metrics")[2]
        assert "secret" not in text
        assert "127.0.0.1" not in text
        assert process.stopped() == 0
        assert "metrics.not_served" not in process.stderr
    with pytest.raises(ConnectionRefusedError):
        scrape(port)


def test_run_does_not_start_where_its_metrics_cannot_be_served(measured: Tocsin, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), measured.start(*COMMAND, "run") as process:
        assert process.ended() == 2
        assert f"metrics: can't listen on 127.0.0.1:{port}: Address already in use" in process.stderr
        assert "run.started" not in process.stderr


@pytest.fixture
def spread(measured: Tocsin, redis_server: Redis, postgres_url: str) -> Tocsin:
    """On a Redis that holds nothing yet, and PostgreSQL."""
    measured.spread(redis_server, postgres_url)
    measured.environ["TMPDIR"] = str(measured.folder)
    assert measured.says("migrate")[0] == 0
    return measured


def folders(tocsin: Tocsin) -> int:
    return len(list(tocsin.folder.glob("tocsin-metrics-*")))


def test_the_children_of_a_worker_count_together_and_a_second_worker_works_unserved(spread: Tocsin, port: int) -> None:
    spread.sandbox.publish(9)
    with spread.start(*_WORKER) as worker, spread.start(*_BEAT):
        arrives(spread, worker)
        worker.until(lambda: total(port, "tocsin_attempts_total") >= 9, "every attempt is counted")
        worker.until(lambda: total(port, "tocsin_notifications_new_total") == 9, "so is every notification")
        with spread.start(*_WORKER) as second:
            second.says("metrics.not_served")
            assert "can't listen" in second.stderr
            assert folders(spread) == 2
            second.until(lambda: len(psutil.Process(second.pid).children()) == 2, "it has its children")
            assert second.stopped() == 0
        assert folders(spread) == 1
        assert worker.stopped() == 0
    assert folders(spread) == 0
