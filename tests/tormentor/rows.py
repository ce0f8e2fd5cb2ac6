"""Rows of an API, and what befalls them between two requests."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.tormentor.shape import Scenario, Torment, What
from worker.errors import RateLimited, Unavailable
from worker.provider import Paging

SLOT = timedelta(seconds=5)
_STATES = ("new", "read", "resolved")
_COMING = frozenset({What.INSERT, What.LATE, What.FUTURE, What.MISDATE, What.UNNAMED})
_LEAVING = frozenset({What.REMOVE, What.REDATE})
Raw = dict[str, Any]


@dataclass(slots=True)
class Row:
    """`at`: what it is ordered and filtered by. `since`: from when on it is where it is, by the API's clock.

    `version` grows with each change. `before`: what it was, as long as that was open and it is closed.
    """

    name: str
    at: datetime | None
    raw: Raw
    since: datetime
    version: int = 1
    before: Raw | None = None


class Rows:
    """Rows, a clock, and a plan of what happens. `crashes`: our next commit fails.

    `mistakes`: whether a page may be repeated or skipped in this pass. `shown_stale`: who was shown as it was before.
    """

    def __init__(self, scenario: Scenario, now: datetime) -> None:
        self.scenario, self.contract, self.now = scenario, scenario.contract, now
        self.rows: dict[str, Row] = {}
        self.shown_stale: set[str] = set()
        self.crashes = self.lags = self.circles = False
        self.salt = 0
        self._plan = list(reversed(scenario.turbulence))
        self._deferred: list[Torment] = []
        self._serial, self._passes = 0, scenario.pauses[0]
        at = self.clock
        for gap in reversed(scenario.gaps):
            at -= timedelta(seconds=gap)
            self._insert(at, at)
        for row in self.rows.values():
            row.since = row.at or self.clock

    @property
    def clock(self) -> datetime:
        """The API's own."""
        return self.now + self.scenario.skew

    @property
    def lateness(self) -> timedelta:
        """How late a row shows up at most: what an overlap is for, less what clocks differ and dates are rounded."""
        return max(self.scenario.overlap - timedelta(seconds=30), timedelta(seconds=2))

    @property
    def page_size(self) -> int:
        """The most rows that it gives at once."""
        return min(self.contract.page_size, self.scenario.cap or self.contract.page_size)

    @property
    def mistakes(self) -> bool:
        """Whether a page may be repeated or skipped in this pass."""
        return not self._one_at_a_time or self._passes % 3 == 0

    def begin(self) -> None:
        """A pass begins."""
        self._passes += 1
        self.crashes = self.lags = self.circles = False
        self.shown_stale.clear()
        for torment in self._deferred:
            self._befall(torment)
        self._deferred.clear()

    def calm_down(self) -> None:
        """Nothing goes wrong any more."""
        self._plan.clear()

    def befall(self) -> set[What]:
        """All that comes together before an answer; what it is. Raises ProviderError."""
        found, more = set(), True
        while self._plan and more:
            torment = self._plan.pop()
            found.add(torment.what)
            more = torment.more
            if self._waits(torment.what):
                self._deferred.append(torment)
            else:
                self._befall(torment)
        return found

    @property
    def _one_at_a_time(self) -> bool:
        """Where pages have no anchor, rows that come, rows that go, and wrong pages hide each other in one pass.

        So each pass has but one of these.
        """
        adrift = self.contract.paging in {Paging.PAGE_NUMBER, Paging.NEXT_LINK, Paging.CURSOR} and self.contract.drifts
        return adrift or self.page_size < 2

    def _waits(self, what: What) -> bool:
        """Until after the pass. Pairs without an order of their own are no anchor either, where rows above vanish."""
        if not self._one_at_a_time:
            return self.scenario.ties and what in _LEAVING
        turn = self._passes % 3
        return what is What.REDATE or (what in _COMING and turn != 1) or (what in _LEAVING and turn != 2)

    def _befall(self, torment: Torment) -> None:
        if action := _ACTIONS.get(torment.what):
            action(self, torment)

    def _insert(self, at: datetime | None, stamp: datetime, shown: object = ..., *, named: bool = True) -> None:
        self._serial += 1
        if at is not None and (self.scenario.spread or self.scenario.ties):
            at = self._free(at)
            stamp = at
        name = f"{int(stamp.timestamp() * 1000)}{self._serial:04}"
        raw: Raw = {"at": _text(at) if shown is ... else shown, "state": "new", "v": 1, "updated": _text(self.clock)}
        raw |= {"id": name} if named else {"no": name}
        self.rows[name] = Row(name, at, raw, self.clock)
        if self.scenario.ties and named:
            twin = f"{name}b"
            self.rows[twin] = replace(self.rows[name], name=twin, raw={**raw, "id": twin})

    def _free(self, at: datetime) -> datetime:
        """A place in time with no other row near it."""
        taken = {row.at for row in self.rows.values()}
        at = datetime.fromtimestamp(at.timestamp() // 5 * 5, UTC)
        while at in taken:
            at -= SLOT
        return at

    def _some(self, which: int) -> Row | None:
        rows = list(self.rows.values())
        return rows[which % len(rows)] if rows else None

    def _new(self, torment: Torment) -> None:
        for _ in range(1 + torment.which % 4):
            self._insert(self.clock, self.clock)

    def _late(self, torment: Torment) -> None:
        at = self.clock - self.lateness * (torment.much / 60)
        self._insert(at, at)

    def _future(self, torment: Torment) -> None:
        self._insert(self.clock + timedelta(minutes=torment.much), self.clock)

    def _misdated(self, torment: Torment) -> None:
        if self.scenario.ties:
            return
        shown = (None, "yesterday", 12, "1970-01-01T00:00:00+00:00")[torment.which % 4]
        self._insert(instant(shown), self.clock, shown)

    def _unnamed(self, _: Torment) -> None:
        """Not where pages are capped and read from ids: there may be no way past it."""
        if self.contract.from_id and self.scenario.cap is not None:
            return
        self._insert(self.clock, self.clock, named=False)

    def _remove(self, torment: Torment) -> None:
        for _ in range(1 + torment.much % 3):
            if row := self._some(torment.which):
                del self.rows[row.name]

    def _change(self, torment: Torment) -> None:
        if row := self._some(torment.which):
            state = _STATES[(row.version + torment.much) % 3]
            self._become(row, {"state": state})

    def _redate(self, torment: Torment) -> None:
        row = self._some(torment.which)
        if row is None or self.contract.from_id or self.scenario.ties:
            return
        at = None if torment.much < 5 else self.clock - self.lateness * (torment.much / 60)
        row.at = self._free(at) if at and self.scenario.spread else at
        row.since = self.clock
        self._become(row, {"at": _text(row.at)})

    def _become(self, row: Row, fields: Raw) -> None:
        was_open, before = row.raw["state"] != "resolved", row.raw
        row.version += 1
        row.raw = {**row.raw, **fields, "v": row.version, "updated": _text(self.clock)}
        row.before = before if was_open and row.raw["state"] == "resolved" else None

    def _wait(self, torment: Torment) -> None:
        self.now += timedelta(seconds=torment.much) * (20 if torment.which > 15 else 1)

    def _reorder(self, torment: Torment) -> None:
        self.salt = torment.which

    def _err(self, torment: Torment) -> None:
        raise Unavailable("out of order") if torment.which % 2 else Unavailable("it took too long")

    def _throttle(self, torment: Torment) -> None:
        raise RateLimited("too fast", timedelta(seconds=torment.much))

    def _lag(self, _: Torment) -> None:
        self.lags = True

    def _circle(self, _: Torment) -> None:
        self.circles = True

    def _crash(self, _: Torment) -> None:
        self.crashes = True


_ACTIONS: dict[What, Callable[[Rows, Torment], None]] = {
    What.INSERT: Rows._new,  # noqa: SLF001  # its own table
    What.LATE: Rows._late,  # noqa: SLF001
    What.REMOVE: Rows._remove,  # noqa: SLF001
    What.CHANGE: Rows._change,  # noqa: SLF001
    What.FUTURE: Rows._future,  # noqa: SLF001
    What.MISDATE: Rows._misdated,  # noqa: SLF001
    What.REDATE: Rows._redate,  # noqa: SLF001
    What.UNNAMED: Rows._unnamed,  # noqa: SLF001
    What.WAIT: Rows._wait,  # noqa: SLF001
    What.REORDER: Rows._reorder,  # noqa: SLF001
    What.ERR: Rows._err,  # noqa: SLF001
    What.THROTTLE: Rows._throttle,  # noqa: SLF001
    What.STALE: Rows._lag,  # noqa: SLF001
    What.CIRCLE: Rows._circle,  # noqa: SLF001
    What.CRASH: Rows._crash,  # noqa: SLF001
}


def key_of(raw: Any) -> str | None:
    """A row's id."""
    name: str | None = raw.get("id")
    return name


def instant(text: object) -> datetime | None:
    """The time, if it is one."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
