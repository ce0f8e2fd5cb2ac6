"""A lane: all that one endpoint's requests share, and no other endpoint's."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from socket import socket
from time import monotonic

import pycurl

from worker.delivery import Due, Outcome, Wire
from worker.webhooks.bell import Bell
from worker.webhooks.exchange import Clock, Exchange
from worker.webhooks.sockets import READ, WRITE, Sockets
from worker.webhooks.target import Target

_EVENTS = {pycurl.POLL_IN: READ, pycurl.POLL_OUT: WRITE, pycurl.POLL_INOUT: READ | WRITE}
_MASKS = {READ: pycurl.CSELECT_IN, WRITE: pycurl.CSELECT_OUT, READ | WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT}


@dataclass(slots=True)
class Alarm:
    """No timer of any lane rings before this instant of the monotonic clock."""

    at: float = inf

    def set(self, at: float) -> None:
        """One rings then."""
        self.at = min(self.at, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all lanes share: sockets that are watched, timers, the clock, and where errors are brought."""

    sockets: Sockets["Lane | Bell"]
    user_agent: str
    clock: Clock
    limit: int
    failures: list[Exception]
    alarm: Alarm = field(default_factory=Alarm)


class Lane:
    """One target's connections, name resolution and requests: a libcurl multi handle of its own.

    Its own, because libcurl resolves names in twenty threads a multi handle: the names of one endpoint whose resolver
    hangs would keep those of all others waiting. And because an open connection is never borrowed by an endpoint that
    would not be allowed to open it. Hashed by identity.
    """

    def __init__(self, target: Target, surroundings: Surroundings) -> None:
        self.target = target
        self.wake_at: float | None = None
        self.idle_since = monotonic()
        self._surroundings = surroundings
        self._spare: list[Exchange] = []
        self._busy: dict[pycurl.Curl, tuple[Exchange, Due]] = {}
        self._watched: set[int] = set()
        self._handed_over: list[socket] = []
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, surroundings.limit)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)

    @property
    def open(self) -> int:
        """How many requests are open."""
        return len(self._busy)

    def begin(self, due: Due, now: datetime) -> Outcome | None:
        """Start one; the outcome at once if it can't even be started, as with a URL that is none."""
        try:
            exchange = self._spare.pop() if self._spare else self._new_exchange()
        except (pycurl.error, ValueError):
            return Outcome(wire=Wire.FAILED, started_at=now, answered_at=now, duration=timedelta(0))
        exchange.prepare(due, now)
        self._busy[exchange.curl] = exchange, due
        self._multi.add_handle(exchange.curl)
        return None

    def act(self, fd: int = pycurl.SOCKET_TIMEOUT, events: int = 0) -> bool:
        """Let libcurl work: on a socket that is ready, or on what is due by its timer. Whether any request ended.

        After one call or several of them, `wait` is called.
        """
        _, running = self._multi.socket_action(fd, _MASKS.get(events, 0))
        while self._handed_over:
            self._handed_over.pop().close()
        return bool(running < len(self._busy))

    def wait(self) -> None:
        """See when libcurl wants to work next, if no socket is ready before.

        To be told of each change, three for each request, takes ten times as long.
        """
        milliseconds = self._multi.timeout()
        if milliseconds < 0:
            self.wake_at = None
        else:
            self.wake_at = monotonic() + milliseconds / 1000
            self._surroundings.alarm.set(self.wake_at)

    def ended(self) -> Iterator[tuple[Due, Outcome]]:
        """Those that ended since the last call."""
        queued = 1
        while queued:
            queued, answered, failed = self._multi.info_read()
            for curl in answered:
                yield self._end(curl, pycurl.E_OK)
            for curl, code, _ in failed:
                yield self._end(curl, code)

    def close(self) -> None:
        """Drop the connections and whatever is open."""
        exchanges = [*(exchange for exchange, _ in self._busy.values()), *self._spare]
        for curl in self._busy:
            self._multi.remove_handle(curl)
        self._busy.clear()
        self._spare.clear()
        self._multi.close()
        for exchange in exchanges:
            exchange.curl.close()
        for fd in self._watched:
            self._surroundings.sockets.forget(fd)
        self._watched.clear()

    def is_idle(self, for_: timedelta) -> bool:
        """Whether nothing has been open for so long."""
        return not self._busy and monotonic() - self.idle_since >= for_.total_seconds()

    def _new_exchange(self) -> Exchange:
        shared = self._surroundings
        return Exchange(self.target, shared.user_agent, shared.clock, self._handed_over)

    def _end(self, curl: pycurl.Curl, code: int) -> tuple[Due, Outcome]:
        exchange, due = self._busy.pop(curl)
        self._multi.remove_handle(curl)
        outcome = exchange.outcome(code)
        if exchange.failure:
            self._surroundings.failures.append(exchange.failure)
        self._spare.append(exchange)
        self.idle_since = monotonic()
        return due, outcome

    def _watch(self, what: int, fd: int, _multi: pycurl.CurlMulti, _assigned: object) -> int:
        try:
            if what == pycurl.POLL_REMOVE:
                self._watched.remove(fd)
                self._surroundings.sockets.forget(fd)
            else:
                self._surroundings.sockets.watch(fd, _EVENTS[what], self)
                self._watched.add(fd)
        except Exception as error:  # noqa: BLE001  # raised again by the sender, outside libcurl
            self._surroundings.failures.append(error)
        return 0
