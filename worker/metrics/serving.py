"""`GET /metrics` and `GET /healthz`, on the configured address and nowhere else.

A worker's pool forks while this thread lives, and a child must not inherit a lock of the counters that the thread held:
a fork waits until none is being read. That takes no longer than it takes to write them down. Whatever may wait for
others, as a look at the database, is done before.
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv6Address, ip_address
from socketserver import ThreadingTCPServer
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from worker.settings import Listening

_HEALTH_KEPT_FOR_S = 1.0
_AT_ONCE = 4
"""Requests for one page that are answered at the same time; further ones wait, but not for long."""
_WAIT_S = 6.0
_READING = Lock()
os.register_at_fork(before=_READING.acquire, after_in_parent=_READING.release, after_in_child=_READING.release)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page: its type, its bytes, and how it went."""

    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


Page = Callable[[str], Answer]
"""Makes an answer to a request with that `Accept` header."""


class Server:
    """Answers with these pages until closed. Raises OSError where the address can't be had."""

    def __init__(self, address: Listening, pages: Mapping[str, Page]) -> None:
        family = socket.AF_INET6 if _is_ipv6(address.host) else socket.AF_INET
        self._listener = _Listener(family, (address.host, address.port), pages)
        self._thread = Thread(target=self._listener.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer no more. Closed again, it stays so."""
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()


def metrics_page(registry: CollectorRegistry, look: Callable[[], None] | None = None) -> Page:
    """All that the registry has, in the form that the client asks for. `look`: what is done before, and may wait."""

    def page(accept: str) -> Answer:
        encoder, content_type = choose_encoder(accept)
        if look:
            look()
        with _READING:
            return Answer(content_type, encoder(registry))

    return page


def health_page(told: Callable[[], Mapping[str, Any]]) -> Page:
    """What is told, as JSON: 200 where its `status` is `ok`, else 503. The same to all who ask within a second."""
    kept: list[tuple[float, Answer]] = []
    one_look = Lock()

    def page(_accept: str) -> Answer:
        with one_look:
            if kept and monotonic() - kept[0][0] < _HEALTH_KEPT_FOR_S:
                return kept[0][1]
            found = told()
            status = HTTPStatus.OK if found["status"] == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
            answer = Answer("application/json", orjson.dumps(found), status)
            kept[:] = [(monotonic(), answer)]
            return answer

    return page


class _Listener(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], pages: Mapping[str, Page]) -> None:
        self.address_family = family
        self.pages = pages
        self.places = {path: BoundedSemaphore(_AT_ONCE) for path in pages}
        super().__init__(address, _Request)

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no event."""


class _Request(BaseHTTPRequestHandler):
    server: _Listener
    server_version, sys_version = "Tocsin", ""
    timeout: ClassVar[float] = 10.0

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path not in self.server.pages:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if not self.server.places[path].acquire(timeout=_WAIT_S):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            answer = self.server.pages[path](self.headers.get("Accept", ""))
        finally:
            self.server.places[path].release()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815  # http.server finds it by this name

    def log_message(self, *_: Any) -> None:
        """Silent: being asked is no event."""


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False
