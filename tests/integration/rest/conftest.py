"""A real HTTP server on loopback that answers by script, and clients that ask it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.fakes import FakeClock
from worker.rest.auth import ApiKey
from worker.rest.client import Api, Client, Means
from worker.rest.wire import Limits

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    """Shows NOW until it is turned."""
    return FakeClock(NOW)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """What a server answers, in turn; the last for ever. An answer is a function of the request's handler."""

    url: str = ""
    answers: list[Callable[[Any], None]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Callable[[Any], None]:
        with self.lock:
            return self.answers[min(len(self.asked), len(self.answers)) - 1]


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> Callable[[Any], None]:
    """An answer with a whole body; with the date of now, unless another is given."""

    def answer(handler: Any) -> None:
        begin = handler.send_response_only if "Date" in headers else handler.send_response
        begin(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.script.asked.append(Asked(self.command, self.path, headers, body))
        self.script.next()(self)

    do_GET = do_POST = _any  # noqa: N815  # http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Script]]:
    """Starts a server that gives these answers, and says what it was asked."""
    servers = []

    def start(*answers: Callable[[Any], None]) -> Script:
        script = Script(answers=list(answers))
        server = _Server(("127.0.0.1", 0), type("Scripted", (_Handler,), {"script": script}))
        script.url = f"http://127.0.0.1:{server.server_port}"
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def answer() -> Callable[..., Callable[[Any], None]]:
    """Makes an answer: status, body, headers (with _ for -)."""
    return reply


@pytest.fixture
def waits() -> list[float]:
    """The seconds that were waited between the tries of a request; none of them is."""
    return []


@pytest.fixture
def means(waits: list[float]) -> Means:
    """A clock that stands still, waits that are noted down, and short limits."""
    limits = Limits(connect=timedelta(seconds=2), total=timedelta(seconds=5), body=64 * 1024)
    return Means(clock=lambda: NOW, sleep=waits.append, limits=limits)


@pytest.fixture
def connect(means: Means) -> Iterator[Callable[..., Client]]:
    """Makes a client of a server, with an API key."""
    clients = []

    def make(script: Script | None, *, limits: Limits | None = None, **api: Any) -> Client:
        chosen = means if limits is None else Means(clock=means.clock, sleep=means.sleep, limits=limits)
        settings: dict[str, Any] = {"base_url": script and script.url, "auth": ApiKey("the-secret-key")} | api
        client = Client(Api(**settings), chosen)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
