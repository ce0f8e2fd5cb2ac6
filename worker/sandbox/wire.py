"""What a loopback server is asked and what it may do in reply, well-behaved or not. Values; `server` performs them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived. `path` is still percent-encoded; header names are lower case."""

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    arrived_at: datetime

    def first(self, name: str) -> str | None:
        """The first value of a query parameter, or None without one."""
        return next((value for key, value in self.query if key == name), None)

    def every(self, name: str) -> list[str]:
        """All values of a query parameter, in the URL's order."""
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, given `after` a while."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer at all, until the client leaves."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is reset before any answer."""


@dataclass(frozen=True, slots=True)
class BreakOff:
    """A status and some of the body that was announced, then the connection ends."""

    status: int = 200
    body: bytes = b"half"
    announced: int = 1000


@dataclass(frozen=True, slots=True)
class Trickle:
    """A status at once, then one byte of the body at a time, for ever."""

    status: int = 200
    every: timedelta = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class Flood:
    """A status, then a body of `size` bytes as fast as the client takes it."""

    status: int = 200
    size: int = 1 << 30


Reply = Answer | Hang | Cut | BreakOff | Trickle | Flood


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})
