"""Answers over a real socket."""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Semaphore, Thread
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tests.integration.metrics.scraped import get, scrape
from worker.metrics import Server, folder, health_page, metrics_page, shared_folder
from worker.metrics.serving import Answer, Page
from worker.settings import Listening


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def server() -> Iterator[Server]:
    registry = CollectorRegistry()
    Counter("tocsin_things", "Things.", registry=registry).inc(3)
    with Server(Listening("127.0.0.1", free_port()), {"/metrics": metrics_page(registry)}) as opened:
        yield opened


def test_metrics_are_prometheus_own_text(server: Server) -> None:
    status, content_type, text = get(server.port, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert "# HELP tocsin_things_total Things." in text
    assert scrape(server.port) == {("tocsin_things_total",): 3}


def test_a_query_is_no_other_page(server: Server) -> None:
    assert get(server.port, "/metrics?a=b")[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz", "/../metrics", "/metrics/x", "/favicon.ico"])
def test_every_other_path_is_not_found(server: Server, path: str) -> None:
    assert get(server.port, path)[0] == 404


def test_a_head_has_no_body_and_nothing_can_be_written(server: Server) -> None:
    assert get(server.port, "/metrics", "HEAD")[::2] == (200, "")
    assert get(server.port, "/metrics", "POST")[0] == 501


def test_it_listens_on_a_name() -> None:
    with Server(Listening("localhost", free_port()), {"/metrics": lambda _: Answer("text/plain", b"")}) as opened:
        assert get(opened.port, "/metrics", host="localhost")[0] == 200


def test_it_listens_on_ipv6() -> None:
    with Server(Listening("::1", free_port("::1")), {"/metrics": lambda _: Answer("text/plain", b"")}) as opened:
        assert get(opened.port, "/metrics", host="::1")[0] == 200


def test_a_port_in_use_is_refused(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(Listening("127.0.0.1", server.port), {})


def test_closed_it_answers_no_more(server: Server) -> None:
    port = server.port
    server.close()
    with pytest.raises(ConnectionRefusedError):
        get(port, "/metrics")


def test_a_client_that_goes_away_disturbs_nobody(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /metrics HT")
    assert get(server.port, "/metrics")[0] == 200


class Held(Collector):
    """What takes as long as it is told to, as a look before or as a collector."""

    def __init__(self) -> None:
        self.begun, self.may_end = Event(), Event()

    def look(self) -> None:
        self.begun.set()
        assert self.may_end.wait(10)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        self.look()
        return iter(())


def fork(forked: Event) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    forked.set()


@contextmanager
def asked(page: Page) -> Iterator[Server]:
    """While somebody waits for it."""
    with Server(Listening("127.0.0.1", free_port()), {"/metrics": page}) as opened:
        asking = Thread(target=get, args=(opened.port, "/metrics"))
        asking.start()
        yield opened
        asking.join()


def test_a_fork_waits_until_no_counter_is_being_read() -> None:
    registry, held, forked = CollectorRegistry(), Held(), Event()
    registry.register(held)
    with asked(metrics_page(registry)):
        assert held.begun.wait(10)
        forking = Thread(target=fork, args=(forked,))
        forking.start()
        assert not forked.wait(0.2)
        held.may_end.set()
        assert forked.wait(10)
        forking.join()


def test_a_fork_does_not_wait_for_what_metrics_wait_for() -> None:
    held, forked = Held(), Event()
    with asked(metrics_page(CollectorRegistry(), held.look)):
        assert held.begun.wait(10)
        fork(forked)
        held.may_end.set()
        assert forked.is_set()


def test_a_page_is_made_for_four_at_once_and_the_fifth_waits_for_his_turn() -> None:
    begun, turns, may_end = Semaphore(0), Semaphore(0), Event()

    def look() -> None:
        begun.release()
        assert may_end.wait(10)
        turns.release()

    page = metrics_page(CollectorRegistry(), look)
    with Server(Listening("127.0.0.1", free_port()), {"/metrics": page}) as opened:
        asking = [Thread(target=scrape, args=(opened.port,)) for _ in range(5)]
        for each in asking:
            each.start()
        assert all(begun.acquire(timeout=10) for _ in range(4))
        assert not begun.acquire(timeout=0.2)
        may_end.set()
        for each in asking:
            each.join()
        assert all(turns.acquire(timeout=10) for _ in range(5))


def test_all_who_ask_for_health_at_once_get_one_look() -> None:
    looks: list[int] = []

    def told() -> dict[str, str]:
        looks.append(1)
        Event().wait(0.1)
        return {"status": "ok"}

    with Server(Listening("127.0.0.1", free_port()), {"/healthz": health_page(told)}) as opened:
        asking = [Thread(target=get, args=(opened.port, "/healthz")) for _ in range(4)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
    assert looks == [1]


def test_a_shared_folder_goes_with_its_process_and_one_left_by_a_killed_process_with_the_next(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from worker.metrics import shared_folder; shared_folder(pathlib.Path(sys.argv[1]));"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True)
    assert [] == list(tmp_path.iterdir())

    killed = subprocess.run([sys.executable, "-c", f"{script} os.kill(os.getpid(), 9)", tmp_path], check=False)
    assert (killed.returncode, len(list(tmp_path.iterdir()))) == (-9, 1)
    in_use = shared_folder(tmp_path)
    assert shared_folder(tmp_path) != in_use
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_another_starter_removes_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[Path] = []

    def flock(held: int, how: int) -> None:
        if how == fcntl.LOCK_EX and not others:
            others.append(tmp_path)  # from here on, the other one's own call goes through
            others.append(shared_folder(tmp_path))
        fcntl.flock(held, how)

    between = SimpleNamespace(flock=flock, LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB)
    monkeypatch.setattr(folder, "fcntl", between)
    mine = shared_folder(tmp_path)
    assert {mine, others[1]} == set(tmp_path.iterdir())
