"""A small HTTP/1.1 server on loopback: a function from request to reply; quick to start, clean to stop."""

import select
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from itertools import count
from socketserver import ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from worker.sandbox.wire import Answer, BreakOff, Cut, Flood, Hang, Reply, Request, Trickle

_LEFT = getattr(select, "POLLRDHUP", select.POLLIN)
_BODILESS = frozenset({204, 304})


class _Connection(BaseHTTPRequestHandler):
    """One client's connection, with all the requests it makes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "_Listener"

    def do_GET(self) -> None:
        request = self._request()
        try:
            self._perform(self.server.respond(request))
        finally:
            self.server.ended(request)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815  # http.server finds them by these names

    def log_message(self, *_: Any) -> None:
        """Silent: who wants to know asks the server what it received."""

    def version_string(self) -> str:
        return "sandbox"

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002  # http.server's signature
        return format_datetime(self.server.clock(), usegmt=True)

    def _request(self) -> Request:
        url = urlsplit(self.path)
        return Request(
            number=next(self.server.numbers),
            method=self.command,
            path=url.path,
            query=tuple(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", "0"))),
            arrived_at=self.server.clock(),
        )

    def _perform(self, reply: Reply) -> None:
        match reply:
            case Answer():
                self._answer(reply)
            case Hang():
                self._still_there(None)
                self.close_connection = True
            case Cut():
                self._reset()
            case BreakOff():
                self._begin(reply.status, reply.announced)
                self.wfile.write(reply.body)
            case Trickle():
                self._begin(reply.status, 1 << 40)
                self._trickle(reply.every)
            case Flood():
                self._begin(reply.status, reply.size)
                self._flood(reply.size)

    def _answer(self, answer: Answer) -> None:
        if answer.after and not self._still_there(answer.after):
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in _BODILESS:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.close_connection = True

    def _trickle(self, every: timedelta) -> None:
        while self._still_there(every):
            self.wfile.write(b".")
            self.wfile.flush()

    def _flood(self, size: int) -> None:
        chunk = b"." * (1 << 16)
        for begun in range(0, size, len(chunk)):
            self.wfile.write(chunk[: size - begun])

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _still_there(self, wait: timedelta | None) -> bool:
        """Wait so long, or for ever, and less when the client leaves or the server stops: then it is False."""
        self.wfile.flush()
        poll = select.poll()
        poll.register(self.connection, _LEFT)
        return not poll.poll(None if wait is None else wait.total_seconds() * 1000)


class _Listener(ThreadingTCPServer):
    """Accepts connections, one thread each, and knows all that are open."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, server: "Server") -> None:
        self.respond = server.respond
        self.ended = server.ended
        self.clock = server.clock
        self.numbers = server.numbers
        self._lock = Lock()
        self._open: dict[socket.socket, Thread] = {}
        super().__init__(("127.0.0.1", port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close without the usual good-bye, which would turn a reset into an orderly end."""
        with self._lock:
            self._open.pop(request, None)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave as they like; anything else is a fault of the sandbox, and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def drop_all(self) -> None:
        """End every open connection, and wait for its thread."""
        with self._lock:
            threads = dict(self._open)
        for connection in threads:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads.values():
            thread.join(timeout=5)


class Server:
    """Answers on 127.0.0.1 what `respond` says; `ended` hears when the reply was given or the client had left.

    It keeps its port when it is stopped and started again: a receiver that is down for a while.
    """

    def __init__(
        self,
        respond: Callable[[Request], Reply],
        clock: Callable[[], datetime],
        ended: Callable[[Request], None] = lambda _: None,
    ) -> None:
        self.respond = respond
        self.clock = clock
        self.ended = ended
        self.numbers = count(1)
        self._port = 0
        self._listener: _Listener | None = None
        self._thread: Thread | None = None
        self._stopping = Event()

    @property
    def url(self) -> str:
        """The origin: `http://127.0.0.1:PORT`; known once it was started."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; from here on clients are answered."""
        self._listener = _Listener(self._port, self)
        self._port = self._listener.server_address[1]
        self._stopping.clear()
        self._thread = Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Refuse connections, end those that are open; nothing where it doesn't run."""
        if self._listener is None or self._thread is None:
            return
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self._port)).close()
        self._thread.join()
        self._listener.server_close()
        self._listener.drop_all()
        self._listener = self._thread = None

    def _serve(self, listener: _Listener) -> None:
        """Until `stop`, which wakes it with a connection of its own: nothing ticks, and nothing waits for a tick."""
        while not self._stopping.is_set():
            listener.handle_request()
