"""An answer as it comes in: its status, what it asks for, and the beginning of its body."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from worker.webhooks.retry_after import parse_retry_after

LONGEST_BODY = 64 * 1024
_EXCERPT = 4 * 1024
_FINAL = 200
_STATUS_LINE = re.compile(rb"HTTP/[\d.]+ +(\d{3})\b")
_ABORT = -1


class Answer:
    """Takes header lines and chunks of the body, as libcurl's callbacks; tells what arrived.

    libcurl would swallow what a callback raises: it ends the request and is kept in `failure`.
    `hidden` is what an excerpt must never hold, because a receiver may echo what it was sent: it is starred out.
    """

    def __init__(self, hidden: Sequence[bytes], clock: Callable[[], datetime]) -> None:
        self._hidden = hidden
        self._kept_length = _EXCERPT + max(map(len, hidden), default=0)
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Ready for the next answer."""
        self.failure: Exception | None = None
        self.status_code: int | None = None
        self.answered_at: datetime | None = None
        self.retry_after: timedelta | None = None
        self._beginning = b""
        self._received = 0

    def header(self, line: bytes) -> int | None:
        """One header line. Informational answers (1xx) are passed over: the status is yet to come."""
        try:
            if line.startswith(b"HTTP/"):
                self._status(line)
            elif line[:1] in b"Rr" and line[:12].lower() == b"retry-after:":
                self.retry_after = parse_retry_after(line[12:].decode("latin-1"), self._clock())
        except Exception as error:  # noqa: BLE001  # raised again by the sender, outside libcurl
            self.failure = error
            return _ABORT
        return None

    def body(self, chunk: bytes) -> int | None:
        """One chunk of the body. It is the last one when 64 KiB are read."""
        self._received += len(chunk)
        if len(self._beginning) < self._kept_length:
            self._beginning += chunk[: self._kept_length - len(self._beginning)]
        return _ABORT if self.is_full else None

    @property
    def is_full(self) -> bool:
        """As much was read as ever is; the rest says nothing (CLARIFICATIONS, 9)."""
        return self._received >= LONGEST_BODY

    def excerpt(self) -> str | None:
        """The first 4 KiB as text, without secrets; None where there was no body. What is no text is replaced."""
        kept = self._beginning
        for secret in self._hidden:
            kept = kept.replace(secret, b"*" * len(secret))
        return kept[:_EXCERPT].decode("utf-8", "replace").replace("\0", "\ufffd") or None

    def _status(self, line: bytes) -> None:
        match = _STATUS_LINE.match(line)
        if match and int(match[1]) >= _FINAL:
            self.status_code, self.answered_at, self.retry_after = int(match[1]), self._clock(), None
