"""A bare receiver: takes every POST and answers 204, after a while if it is told to.

.venv/bin/python benchmarks/receiver.py PORT DELAY_MS [STAMPS]

No framework, no parser but for the two headers that tell where a request ends. STAMPS: a file that gets a line for each
request, with the webhook's id and the instant (seconds of the machine's clock) at which its first byte came.
"""

import asyncio
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH, _ID = b"content-length:", b"webhook-id:"


class Receiving(asyncio.Protocol):
    """One connection; requests come one after another."""

    def __init__(self, delay_s: float, stamps: TextIO | None) -> None:
        self._delay_s, self._stamps = delay_s, stamps
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._first_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, chunk: bytes) -> None:
        """A part of a request, or all of it."""
        if not self._came:
            self._first_at = time.time()
        self._came += chunk
        while (head := self._came.find(b"\r\n\r\n")) >= 0:
            lines = self._came[:head].lower()
            end = head + 4 + int(_value(lines, _LENGTH) or 0)
            if len(self._came) < end:
                return
            if self._stamps:
                self._stamps.write(f"{_value(lines, _ID).decode()} {self._first_at:.6f}\n")
            self._came = self._came[end:]
            if self._delay_s:
                asyncio.get_running_loop().call_later(self._delay_s, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(_ANSWER)


def _value(lines: bytes, name: bytes) -> bytes:
    at = lines.find(b"\n" + name)
    return lines[at + 1 + len(name) :].partition(b"\r\n")[0].strip() if at >= 0 else b""


async def receive(port: int, delay_s: float, stamps: TextIO | None) -> None:
    """Until it is ended from outside."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiving(delay_s, stamps), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def main() -> None:
    """Listen."""
    port, delay_ms, *stamps = sys.argv[1:]
    with ExitStack() as stack:
        written = stack.enter_context(Path(stamps[0]).open("w", encoding="ascii", buffering=1)) if stamps else None
        stack.enter_context(suppress(KeyboardInterrupt))
        asyncio.run(receive(int(port), int(delay_ms) / 1000, written))


if __name__ == "__main__":
    main()
