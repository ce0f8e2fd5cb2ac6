"""Receivers on loopback that behave and misbehave, over raw sockets: what libcurl meets is what a script says."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import BinaryIO, Self


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Visit:
    """One connection, as a script sees it."""

    socket: socket.socket
    request: Request
    over: Event

    def send(self, data: bytes) -> bool:
        """Whether the peer is still there."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True


Script = Callable[[Visit], bool]
"""Answers one request; whether the connection stays open for another."""


@dataclass
class Receiver:
    """Listens, records what comes, answers as the script says; with `instead`, that has the connection for itself."""

    script: Script
    tls: ssl.SSLContext | None = None
    address: str = "127.0.0.1"
    instead: Callable[[socket.socket], None] | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._over = Event()
        self._threads: list[Thread] = []
        self._sockets: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, 0), family=family, backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/receive"

    def _run(self, work: Callable[[], None]) -> None:
        thread = Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(accepted)
            self._run(partial(self._serve, accepted))

    def _serve(self, accepted: socket.socket) -> None:
        try:
            plain = self.tls.wrap_socket(accepted, server_side=True) if self.tls else accepted
        except (OSError, ssl.SSLError):
            accepted.close()
            return
        self._sockets.append(plain)
        if self.instead:
            with contextlib.suppress(OSError):
                self.instead(plain)
            return
        with contextlib.suppress(OSError, ValueError), plain, plain.makefile("rb") as stream:  # ValueError: shut down
            while request := read_request(stream):
                self.requests.append(request)
                if not self.script(Visit(plain, request, self._over)):
                    return


def read_request(stream: BinaryIO) -> Request | None:
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    headers: dict[str, str] = {}
    while header := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Request(line.rstrip("\r\n"), headers, body)


def answering(status: int, body: bytes = b"", **headers: str) -> Script:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if status == 204 else body)
    return lambda visit: visit.send(raw)


def hanging(visit: Visit) -> bool:
    visit.over.wait()
    return False


def resetting(visit: Visit) -> bool:
    visit.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hanging_up(visit: Visit) -> bool:  # noqa: ARG001  # a script
    return False


def saying(raw: bytes) -> Script:
    """Sends this and hangs up."""

    def script(visit: Visit) -> bool:
        visit.send(raw)
        return False

    return script


def saying_and_hanging(raw: bytes) -> Script:
    def script(visit: Visit) -> bool:
        visit.send(raw)
        return hanging(visit)

    return script


def trickling(visit: Visit) -> bool:
    """A body without end, a few bytes at a time."""
    there = visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while there and not visit.over.wait(0.02):
        there = visit.send(b"1\r\nx\r\n")
    return False


@dataclass
class Pouring:
    """A gigabyte; counts what could be sent of it."""

    status: int = 200
    sent: int = 0

    def __call__(self, visit: Visit) -> bool:
        there = visit.send(b"HTTP/1.1 %d OK\r\nContent-Length: 1000000000\r\n\r\n" % self.status)
        while there and self.sent < 1_000_000_000:
            there = visit.send(b"x" * 100_000)
            self.sent += 100_000
        return False


@dataclass
class Gathering:
    """Answers nobody until so many are there."""

    number: int
    arrived: list[None] = field(default_factory=list)
    complete: Event = field(default_factory=Event)

    def __call__(self, visit: Visit) -> bool:
        self.arrived.append(None)
        if len(self.arrived) == self.number:
            self.complete.set()
        self.complete.wait(30)
        return answering(204)(visit)


_SETTINGS, _SETTINGS_ACK = bytes(3) + b"\4\0" + bytes(4), bytes(3) + b"\4\1" + bytes(4)
_STATUS_200 = b"\x88"  # the eighth entry of HPACK's static table


def http2(bodies: list[bytes]) -> Callable[[socket.socket], None]:
    """Just enough of HTTP/2 (RFC 9113) to take requests and answer 200; keeps their bodies."""

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            stream.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            connection.sendall(_SETTINGS)
            while head := stream.read(9):
                payload = stream.read(int.from_bytes(head[:3], "big"))
                if head[3] == 4 and not head[4] & 1:
                    connection.sendall(_SETTINGS_ACK)
                if head[3] == 0:
                    bodies.append(payload)
                if head[3] in {0, 1} and head[4] & 1:
                    connection.sendall(b"\0\0\1\1\5" + head[5:9] + _STATUS_200)

    return serve
