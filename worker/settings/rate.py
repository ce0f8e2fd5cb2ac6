"""A rate: so many requests in a second, a minute or an hour."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from worker.settings.wording import quoted

_RATE = re.compile(r"([1-9][0-9]{0,6})/([smh])")
_PER = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so long."""

    count: int
    per: timedelta


def _rate(value: object) -> Rate:
    if isinstance(value, Rate):
        return value
    written = _RATE.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        raise ValueError(f'{quoted(value)} is not a rate; write "50/s", "100/m" or "1000/h"')
    return Rate(int(written[1]), _PER[written[2]])


WrittenRate = Annotated[Rate, BeforeValidator(_rate)]
"""A rate as the file has it: `50/s`, `100/m`, `1000/h`."""
