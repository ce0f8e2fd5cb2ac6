"""A provider in which notifications come about steadily: a stand-in for Realtime Register's list, by arithmetic."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import orjson

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_WITHOUT_END = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass
class Steady:
    """So many rows a second since `began_at`, those of a second together when it is over, as its dates have no less.

    `asked`: when it was asked, by the monotonic clock.
    """

    rate: float
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    asked: list[float] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address, while it listens: in a thread, and cheaply, for whoever is measured has the same cores."""
        listening = Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]]()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="provider")
        thread.start()
        port, loop, ended = listening.result()
        try:
            yield f"http://127.0.0.1:{port}/v2"
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()

    async def _serve(self, listening: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(lambda: _Asked(self), "127.0.0.1", 0, backlog=256)
        listening.set_result((server.sockets[0].getsockname()[1], loop, ended))
        await ended.wait()
        server.close()

    def listed(self, path: str) -> bytes:
        """A page of the list; nobody ever read or acknowledged anything later."""
        self.asked.append(monotonic())
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        found = self._between(query) if query.get("order") == "fireDate" else range(0)
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
        pagination = {"limit": limit, "offset": offset, "total": len(found)}
        rows = [_row(n, self.began_at + timedelta(seconds=n / self.rate)) for n in found[offset : offset + limit]]
        return orjson.dumps({"entities": rows, "pagination": pagination})

    def _between(self, query: dict[str, str]) -> range:
        gap, now = timedelta(seconds=1 / self.rate), datetime.now(UTC).replace(microsecond=0)
        start = datetime.fromisoformat(query.get("fireDate:gte", self.began_at.isoformat()))
        end = min(now, datetime.fromisoformat(query.get("fireDate:lte", _WITHOUT_END.isoformat())))
        first = max(0, -((self.began_at - start) // gap))
        return range(first, max(first, (end - self.began_at) // gap + 1))


class _Asked(asyncio.Protocol):
    """One connection; requests without a body come one after another."""

    def __init__(self, provider: Steady) -> None:
        self._provider, self._came = provider, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, chunk: bytes) -> None:
        """A part of a request, or all of it."""
        self._came += chunk
        while (head := self._came.find(b"\r\n\r\n")) >= 0:
            _, path, _ = self._came[:head].decode("ascii").split(" ", 2)
            self._came = self._came[head + 4 :]
            body = self._provider.listed(path)
            if self._transport:
                self._transport.write(_HEAD % len(body) + body)


@lru_cache(maxsize=10_000)
def _row(number: int, began_at: datetime) -> orjson.Fragment:
    at = f"{began_at:%Y-%m-%dT%H:%M:%SZ}"
    return orjson.Fragment(orjson.dumps({
        "id": number + 1, "fireDate": at, "acknowledgeDate": at, "eventType": "TransferDomainEvent",
        "message": f"Transfer of 'example-{number}.nl' was approved by the current domain name holder",
        "process": number * 7, "processIdentifier": f"example-{number}.nl", "processType": "transfer",
    }))  # fmt: skip
