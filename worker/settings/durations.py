"""Durations as they are written: a whole number and one unit."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from worker.settings.wording import quoted

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_WRITTEN = re.compile(r"([0-9]{1,12})(ms|[dhms])")


def parse_duration(text: str) -> timedelta:
    """`500ms`, `30s`, `5m`, `2h` or `7d`. Raises ValueError for anything else."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"{quoted(text)} is not a duration; write 30s, 5m, 2h or 7d")
    try:
        return int(written[1]) * _UNITS[written[2]]
    except OverflowError:
        raise ValueError(f"{quoted(text)} is too long") from None


def shown_duration(duration: timedelta) -> str:
    """The inverse: the largest unit that needs no fraction; parts of a millisecond are cut off."""
    for unit, length in _UNITS.items():
        if duration and not duration % length:
            return f"{duration // length}{unit}"
    return f"{duration // _UNITS['ms']}ms" if duration else "0s"


def within(least: timedelta, most: timedelta) -> AfterValidator:
    """A check of a duration's bounds, both inclusive."""

    def check(duration: timedelta) -> timedelta:
        if least <= duration <= most:
            return duration
        bounds = f"{shown_duration(least)} to {shown_duration(most)}"
        raise ValueError(f"{quoted(shown_duration(duration))} is out of bounds; write {bounds}")

    return AfterValidator(check)


def _read(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{quoted(value)} is not a duration; write 30s, 5m, 2h or 7d")


Duration = Annotated[timedelta, BeforeValidator(_read)]
"""A duration in the configuration; `Annotated[Duration, within(…)]` bounds it."""
