"""Times as a described provider writes them (POLLING, section 8). Pure, and liberal, as rest/reading.py is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from worker.rest.reading import instant
from worker.settings import Description

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"epoch": timedelta(seconds=1), "epoch_ms": timedelta(milliseconds=1)}


@dataclass(frozen=True, slots=True)
class Times:
    """`unit`: of a number, since 1970; None: numbers are no times. `utc`: what a text without a zone means."""

    unit: timedelta | None = None
    utc: bool = False

    @classmethod
    def of(cls, description: Description) -> "Times":
        """How a provider writes them."""
        time = description.time
        return cls(_UNITS.get(time.format), time.zone == "UTC") if time else cls()

    def reader(self) -> Callable[[object], datetime | None]:
        """`read`, or what does the same where numbers are no times."""
        return self.read if self.unit else partial(instant, zone=UTC if self.utc else None)

    def read(self, value: object) -> datetime | None:
        """The instant that a value means; None when it means none."""
        number = self._number(value)
        if number is None or self.unit is None:
            return instant(value, zone=UTC if self.utc else None)
        try:
            return _EPOCH + number * self.unit
        except (OverflowError, ValueError):
            return None

    def written(self, at: datetime, *, up: bool = False) -> str:
        """An instant as a filter takes it, down or up to a whole unit."""
        unit = self.unit or timedelta(seconds=1)
        rest = (at - _EPOCH) % unit
        whole = at - rest + (unit if up and rest else timedelta())
        if self.unit is None:
            return whole.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return str((whole - _EPOCH) // unit)

    def _number(self, value: object) -> int | float | None:
        if isinstance(value, str) and self.unit and value.strip().isascii() and value.strip().isdecimal():
            return int(value) if len(value) < 30 else None  # noqa: PLR2004  # no time has so many digits
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return value
