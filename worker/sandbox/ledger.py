"""What one sandbox provider has published: every row, with each state that it ever had. Thread-safe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from worker.notification import Status


@dataclass(frozen=True, slots=True)
class State:
    """A row as it was from an instant on: the provider's JSON, and the status that PROVIDERS maps it to."""

    raw: Mapping[str, Any]
    status: Status
    since: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One notification of a provider with its history; it is shown from `visible_at` until it is withdrawn."""

    external_id: str
    occurred_at: datetime
    visible_at: datetime
    states: tuple[State, ...]
    withdrawn_at: datetime | None = None

    @property
    def state(self) -> State:
        """As it is now."""
        return self.states[-1]

    @property
    def raw(self) -> Mapping[str, Any]:
        """The provider's JSON as it is now."""
        return self.state.raw


class Ledger:
    """Rows by external id, in the order of their publishing. A closed row may still change; a withdrawn one can't.

    `changes` counts what was published, changed and withdrawn.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.changes = 0
        self._rows: dict[str, Row] = {}
        self._lock = RLock()

    def publish(
        self,
        external_id: str,
        raw: Mapping[str, Any],
        status: Status = Status.NEW,
        *,
        occurred_at: datetime | None = None,
        delay: timedelta = timedelta(),
    ) -> Row:
        """A new row; with a delay it shows up later than its own timestamp says."""
        now = self.clock()
        occurred_at = occurred_at or now
        row = Row(external_id, occurred_at, now + delay, (State(raw, status, now),))
        with self._lock:
            if external_id in self._rows:
                raise ValueError(f"{external_id} is published already")
            self._put(row)
        return row

    def change(self, external_id: str, raw: Mapping[str, Any], status: Status) -> Row:
        """A new state of a row. Raises KeyError where there is none, ValueError where it is withdrawn."""
        with self._lock:
            row = self._present(external_id)
            changed = replace(row, states=(*row.states, State(raw, status, self.clock())))
            self._put(changed)
        return changed

    def withdraw(self, external_id: str) -> Row:
        """The provider has it no longer. Raises as `change` does."""
        with self._lock:
            gone = replace(self._present(external_id), withdrawn_at=self.clock())
            self._put(gone)
        return gone

    def visible(self) -> list[Row]:
        """What the provider shows now."""
        now = self.clock()
        return [row for row in self.all() if row.visible_at <= now and row.withdrawn_at is None]

    def find(self, external_id: str) -> Row | None:
        """A row that the provider shows now."""
        row = self._rows.get(external_id)
        shown = row is not None and row.visible_at <= self.clock() and row.withdrawn_at is None
        return row if shown else None

    def all(self) -> list[Row]:
        """Every row, withdrawn and not yet visible ones too."""
        with self._lock:
            return list(self._rows.values())

    def _put(self, row: Row) -> None:
        self._rows[row.external_id] = row
        self.changes += 1

    def _present(self, external_id: str) -> Row:
        row = self._rows[external_id]
        if row.withdrawn_at is not None:
            raise ValueError(f"{external_id} is withdrawn")
        return row
