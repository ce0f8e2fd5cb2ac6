"""Many requests at once from one thread: due deliveries in, outcomes out (DELIVERY, section 2)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from types import TracebackType
from typing import Self

from worker.delivery import Due, Outcome, Wire
from worker.errors import ConfigurationError
from worker.webhooks.bell import Bell
from worker.webhooks.lane import Lane, Surroundings
from worker.webhooks.sockets import Sockets
from worker.webhooks.target import Target

_CLOSED_WHEN_IDLE_FOR = timedelta(seconds=150)
"""Longer than libcurl would use a kept connection again."""

_ENOUGH = 50
"""So many outcomes are worth a transaction; to wait for more would keep the slots of these empty."""

_BEGUN_AT_ONCE = 50


class Sender:
    """Sends what is due to its endpoint's target and tells what came of it. Used by one thread; a context manager.

    `targets` is looked up at each `begin`, so that a mapping that changes (a rotated secret) is followed: what is open
    ends as it began. Where it raises ConfigurationError for an endpoint, nothing can be sent there, and that
    endpoint's requests fail at once; no other's do. `limit` is how many requests may be open at once.
    """

    gathers_for = timedelta(milliseconds=3)
    """After the first outcome, for more of them: whoever writes them down does so at once."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        user_agent: str,
        clock: Callable[[], datetime],
        limit: int = 500,
        idle: timedelta = _CLOSED_WHEN_IDLE_FOR,
    ) -> None:
        self._targets = targets
        self.limit = limit
        self._idle = idle
        self._sockets = Sockets[Lane | Bell]()
        self._bell = Bell(self._sockets)
        self._failures: list[Exception] = []
        self._clock = clock
        self._surroundings = Surroundings(
            sockets=self._sockets, user_agent=user_agent, clock=clock, limit=limit, failures=self._failures
        )
        self._lanes: dict[str, Lane] = {}
        self._outdated: list[Lane] = []
        self._ended: list[tuple[Due, Outcome]] = []
        self._open = Counter[str]()
        self._tidy_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open(self) -> int:
        """How many were begun whose outcome was not handed out yet."""
        return self._open.total()

    @property
    def open_by_endpoint(self) -> Mapping[str, int]:
        """The same, for each endpoint that has any."""
        return self._open

    @property
    def room(self) -> int:
        """How many more may be begun."""
        return self.limit - self.open

    def begin(self, due: Sequence[Due]) -> list[Due]:
        """Start these; those that were.

        Left out is what might still be open when its claim ends, and others take it: this process was stopped since it
        was claimed, or its machine slept. Others may even have delivered it already. Raises ValueError, with nothing
        started, if there is no room for all of them, or for an unknown endpoint.
        """
        if len(due) > self.room:
            raise ValueError(f"room for {self.room}, not for {len(due)}")
        if unknown := {one.endpoint for one in due} - set(self._targets):
            raise ValueError(f"no such endpoint: {', '.join(sorted(unknown))}")
        begun = list[Due]()
        for at in range(0, len(due), _BEGUN_AT_ONCE):
            begun += self._begin(due[at : at + _BEGUN_AT_ONCE])
            self._turn(0)
        if monotonic() >= self._tidy_at:
            self._close_idle()
            self._tidy_at = monotonic() + self._idle.total_seconds() / 5
        return begun

    def _begin(self, due: Sequence[Due]) -> Iterator[Due]:
        """Start these few; quick receivers answer while the next are begun, on connections that are still warm."""
        lanes = {name: self._lane(name) for name in dict.fromkeys(one.endpoint for one in due)}
        for one in due:
            lane, now = lanes[one.endpoint], self._clock()
            if lane and now + lane.target.timeout > one.claimed_until:
                continue
            outcome = lane.begin(one, now) if lane else _not_sendable(now)
            self._open[one.endpoint] += 1
            if outcome:
                self._ended.append((one, outcome))
            yield one
        for lane in filter(None, lanes.values()):
            self._collect(lane, any_ended=lane.act())

    def finished(self, wait: timedelta) -> list[tuple[Due, Outcome]]:
        """Those that ended, each once; waits up to `wait` for the first of them, and not at all if none is open.

        Any thread ends the waiting by `wake`.

        With the first comes what ends in the few milliseconds after it, unless enough have.

        What a callback raised is raised here; the outcomes are handed out by the next call.
        """
        until = monotonic() + wait.total_seconds()
        self._turn(0)
        while (
            not (self._ended or self._failures or self._bell.heard) and self._open and (left := until - monotonic()) > 0
        ):
            self._turn(left)
        until = monotonic() + self.gathers_for.total_seconds()
        while self._is_worth_gathering() and (left := until - monotonic()) > 0:
            self._turn(left)
        if self._failures:
            raise self._failures.pop(0)
        self._bell.heard = False
        ended, self._ended = self._ended, []
        self._open -= Counter(due.endpoint for due, _ in ended)
        return ended

    def wake(self) -> None:
        """Whoever waits in `finished`, or is about to, waits no longer: there may be more to begin. From any thread."""
        self._bell.ring()

    def _is_worth_gathering(self) -> bool:
        ended = len(self._ended)
        return 0 < ended < _ENOUGH and ended < self.open and not self._failures

    def close(self) -> None:
        """Drop all connections. What is open is abandoned, without an outcome.

        Waits for name resolutions under way: a resolver that hangs can hold it up for as long as it does.
        """
        for lane in self._all_lanes():
            lane.close()
        self._lanes.clear()
        self._outdated.clear()
        self._ended.clear()
        self._open.clear()
        self._sockets.close()
        self._bell.close()

    def _all_lanes(self) -> Iterator[Lane]:
        yield from self._lanes.values()
        yield from self._outdated

    def _lane(self, name: str) -> Lane | None:
        """The endpoint's; none where there is nothing to sign with. Whoever made `targets` says why."""
        try:
            target = self._targets[name]
        except ConfigurationError:
            return None
        lane = self._lanes.get(name)
        if lane and (lane.target is target or lane.target == target):
            return lane
        if lane:
            self._outdated.append(lane)
        self._lanes[name] = Lane(target, self._surroundings)
        return self._lanes[name]

    def _turn(self, seconds: float) -> None:
        """Wait for sockets and timers, let libcurl work on them, collect what ended."""
        alarm = self._surroundings.alarm
        acted: dict[Lane | Bell, bool] = {}
        for owner, fd, events in self._sockets.ready(max(0.0, min(seconds, alarm.at - monotonic()))):
            acted[owner] = owner.act(fd, events)
        if monotonic() >= alarm.at:
            acted.update(self._rung())
        for owner, any_ended in acted.items():
            self._collect(owner, any_ended=any_ended)

    def _rung(self) -> Iterator[tuple[Lane, bool]]:
        """Let libcurl work on what is due by its timers; the lanes, and whether anything of each ended."""
        now, alarm = monotonic(), self._surroundings.alarm
        alarm.at = inf
        for lane in self._all_lanes():
            if lane.wake_at is None:
                continue
            if lane.wake_at > now:
                alarm.set(lane.wake_at)
            else:
                yield lane, lane.act()

    def _collect(self, owner: Lane | Bell, *, any_ended: bool) -> None:
        """After libcurl worked."""
        if any_ended:
            self._ended += owner.ended()
        owner.wait()

    def _close_idle(self) -> None:
        """An idle lane costs descriptors and, over TLS, most of a megabyte."""
        for name, lane in list(self._lanes.items()):
            if lane.is_idle(self._idle):
                self._lanes.pop(name).close()
        for lane in [lane for lane in self._outdated if not lane.open]:
            self._outdated.remove(lane)
            lane.close()


def _not_sendable(now: datetime) -> Outcome:
    return Outcome(wire=Wire.FAILED, started_at=now, answered_at=now, duration=timedelta(0))
