"""A provider for the benchmarks: pages rendered beforehand, given as fast as bytes go, by a process of its own.

    python -m benchmarks.polling.feed ROWS PAGE

Prints its port, and answers until its input ends. It stands for nginx with files: one asyncio protocol that looks a
path up in a dictionary. `/list` is the first page of what is current; `/now/STATE` makes another state current: `new`,
the rows as they are at first, `changed`, the same with one in ten closed since, or `warm`, a page of rows that came
before. Each page names the next one's address.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import requests

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
"""The instant at which all of it happens; every row is younger than an overlap."""

SERVED_BY = "pages from a bare asyncio protocol in a process of its own, in nginx's place"

STATES = ("new", "changed")
WARM = "warm"
_SPREAD = timedelta(minutes=9)
_OPEN, _CHANGED = 8, 10
_KINDS = ("domain.transferred", "domain.renewed", "contact.changed", "invoice.due")
_MILLISECONDS = 999


def row(number: int, of: int, state: str = "new") -> dict[str, Any]:
    """One row; every eighth is still open, and every tenth of these and of the others is closed again later."""
    at = AT - _SPREAD + timedelta(seconds=int(_SPREAD.total_seconds() * number / of))
    written = f"{at:%Y-%m-%dT%H:%M:%S}.{number % _MILLISECONDS + 1:03}Z"
    changed = state == "changed" and number % _CHANGED == 0
    return {
        "id": f"ntf_{number:010}",
        "type": _KINDS[number % len(_KINDS)],
        "title": f"Domain example-{number}.nl",
        "state": "done" if changed or number % _OPEN else "open",
        "message": f"The transfer of 'example-{number}.nl' was approved by the current domain name holder",
        "created": written,
        "updated": f"{AT:%Y-%m-%dT%H:%M:%S}.{1 + changed:03}Z" if changed else written,
        "domain": {"name": f"example-{number}.nl", "registrar": "acme", "process": number * 7, "price": 12.5},
        "labels": ["transfer", "incoming"],
        "note": None,
    }


def rendered(rows: int, page: int, origin: str) -> dict[bytes, bytes]:
    """Path → the whole answer."""
    before = [row(each, rows) for each in range(-page, 0)]
    answers = {f"/{WARM}/1".encode(): _answer(orjson.dumps({"items": before, "next": None}))}
    for state in STATES:
        for number, first in enumerate(range(0, rows, page), 1):
            items = [row(each, rows, state) for each in range(first, min(first + page, rows))]
            follows = f"{origin}/{state}/{number + 1}" if first + page < rows else None
            answers[f"/{state}/{number}".encode()] = _answer(orjson.dumps({"items": items, "next": follows}))
    return answers


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Given(asyncio.Protocol):
    """One connection. `current`: the state, in a list of one, that all connections share."""

    def __init__(self, answers: dict[bytes, bytes], current: list[bytes]) -> None:
        self._answers, self._current = answers, current
        self._asked = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        while b"\r\n\r\n" in self._asked:
            head, _, self._asked = self._asked.partition(b"\r\n\r\n")
            self._transport.write(self._answer(head.split(b" ", 2)[1].partition(b"?")[0]))

    def _answer(self, path: bytes) -> bytes:
        if path.startswith(b"/now/"):
            self._current[0] = path.removeprefix(b"/now/")
            return _answer(b"{}")
        if path == b"/list":
            path = b"/" + self._current[0] + b"/1"
        return self._answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def _serve(rows: int, page: int) -> None:
    loop = asyncio.get_running_loop()
    answers: dict[bytes, bytes] = {}
    current = [STATES[0].encode()]
    server = await loop.create_server(lambda: _Given(answers, current), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answers |= rendered(rows, page, f"http://127.0.0.1:{port}")
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextmanager
def feeding(rows: int, page: int) -> Iterator[str]:
    """Its address, while it answers."""
    command = [sys.executable, "-m", "benchmarks.polling.feed", str(rows), str(page)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process that was started with pipes has none")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def switch(address: str, state: str) -> None:
    """Make this state current."""
    requests.get(f"{address}/now/{state}", timeout=30).raise_for_status()


def _main(words: Sequence[str]) -> None:
    rows, page = words
    asyncio.run(_serve(int(rows), int(page)))


if __name__ == "__main__":
    _main(sys.argv[1:])
