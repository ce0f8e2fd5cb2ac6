"""What is to go wrong at a sandbox API: faults as data, taken one a request, and limits that stand until cleared."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from threading import Lock

from worker.sandbox.wire import Answer, BreakOff, Cut, Flood, Hang, Trickle


@dataclass(frozen=True, slots=True)
class Fail:
    """An error in the provider's own words, with such headers as `Retry-After`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refuse:
    """The credentials are refused, whatever they are."""


Fault = Fail | Refuse | Answer | Hang | Cut | BreakOff | Trickle | Flood

GARBLED = Answer(200, b"<html><body>Down for maintenance</body></html>", {"Content-Type": "text/html"})
"""A page for people where JSON is due."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most so many requests in any such span; `announce`: a 429 says in `Retry-After` when it ends."""

    requests: int
    per: timedelta
    announce: bool = True


class Faults:
    """The faults of one API. Thread-safe."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """From here on nothing goes wrong."""
        self._next: deque[Fault] = deque()
        self._asked: deque[datetime] = deque()
        self._throttle: Throttle | None = None
        self._refusing = False
        self.largest_page: int | None = None
        self.slowness = timedelta()

    def next(self, *faults: Fault, times: int = 1) -> None:
        """These happen to the next requests, one each, `times` over."""
        with self._lock:
            self._next.extend(faults * times)

    def cap(self, rows: int | None) -> None:
        """Pages hold at most so many rows, whatever was asked for; None: as asked."""
        self.largest_page = rows

    def slow(self, by: timedelta) -> None:
        """Every answer comes so much later."""
        self.slowness = by

    def refuse(self, *, refusing: bool = True) -> None:
        """Every credential is refused."""
        self._refusing = refusing

    def throttle(self, throttle: Throttle | None) -> None:
        """Requests beyond this are answered 429."""
        with self._lock:
            self._throttle = throttle
            self._asked.clear()

    def take(self) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            if self._next:
                return self._next.popleft()
            if self._refusing:
                return Refuse()
            return self._throttled()

    def page(self, asked: int) -> int:
        """How many rows a page may hold where so many were asked for."""
        return asked if self.largest_page is None else min(asked, self.largest_page)

    def _throttled(self) -> Fail | None:
        if self._throttle is None:
            return None
        now = self._clock()
        while self._asked and self._asked[0] <= now - self._throttle.per:
            self._asked.popleft()
        if len(self._asked) < self._throttle.requests:
            self._asked.append(now)
            return None
        if not self._throttle.announce:
            return Fail(429)
        ends_at = self._asked[0] + self._throttle.per if self._asked else now + self._throttle.per
        return Fail(429, {"Retry-After": str(max(1, ceil((ends_at - now).total_seconds())))})
