"""`GET /metrics`, on the configured address and nowhere else.

A worker's pool forks while this thread lives, and a child must not inherit a lock that the thread held: a fork waits
until no answer is being made.
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv6Address, ip_address
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from worker.settings import Listening

_AT_WORK = Lock()
os.register_at_fork(before=_AT_WORK.acquire, after_in_parent=_AT_WORK.release, after_in_child=_AT_WORK.release)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page: its type, and its bytes."""

    content_type: str
    body: bytes


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


def metrics_page(registry: CollectorRegistry) -> Page:
    """All that the registry has, in the form that the client asks for."""

    def page(accept: str) -> Answer:
        encoder, content_type = choose_encoder(accept)
        return Answer(content_type, encoder(registry))

    return page


class _Listener(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], pages: Mapping[str, Page]) -> None:
        self.address_family = family
        self.pages = pages
        super().__init__(address, _Request)

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no event."""


class _Request(BaseHTTPRequestHandler):
    server: _Listener
    server_version, sys_version = "Tocsin", ""
    timeout: ClassVar[float] = 10.0

    def do_GET(self) -> None:
        page = self.server.pages.get(urlsplit(self.path).path)
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with _AT_WORK:
            answer = page(self.headers.get("Accept", ""))
        self.send_response(HTTPStatus.OK)
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
