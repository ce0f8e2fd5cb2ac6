"""A provider in which notifications come about steadily: a stand-in for Realtime Register's list, by arithmetic."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import orjson

_WITHOUT_END = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass
class Steady:
    """So many rows a second since `began_at`, up to this moment; `asked`: when it was asked, by the monotonic clock."""

    rate: float
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    asked: list[float] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address, while it listens."""
        provider = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                body = provider.listed(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        class Listening(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                """Whoever asked was killed."""

        with Listening(("127.0.0.1", 0), Answering) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}/v2"
            finally:
                server.shutdown()
                thread.join()

    def listed(self, path: str) -> bytes:
        """A page of the list; nobody ever read or acknowledged anything later."""
        self.asked.append(monotonic())
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        found = self._between(query) if query.get("order") == "fireDate" else range(0)
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
        pagination = {"limit": limit, "offset": offset, "total": len(found)}
        return orjson.dumps(
            {"entities": [self._row(n) for n in found[offset : offset + limit]], "pagination": pagination}
        )

    def _between(self, query: dict[str, str]) -> range:
        gap, now = timedelta(seconds=1 / self.rate), datetime.now(UTC)
        start = datetime.fromisoformat(query.get("fireDate:gte", self.began_at.isoformat()))
        end = min(now, datetime.fromisoformat(query.get("fireDate:lte", _WITHOUT_END.isoformat())))
        first = max(0, -((self.began_at - start) // gap))
        return range(first, max(first, (end - self.began_at) // gap + 1))

    def _row(self, number: int) -> dict[str, object]:
        at = f"{self.began_at + timedelta(seconds=number / self.rate):%Y-%m-%dT%H:%M:%SZ}"
        return {
            "id": number + 1, "fireDate": at, "acknowledgeDate": at, "eventType": "TransferDomainEvent",
            "message": f"Transfer of 'example-{number}.nl' was approved by the current domain name holder",
            "process": number * 7, "processIdentifier": f"example-{number}.nl", "processType": "transfer",
        }  # fmt: skip
