"""`tocsin worker` with leases that end soon, and with a clock that a file moves.

works.py LEASE_S FILE FLAG…

LEASE_S: how long a poll's lease and the claim of a delivery last, 0 for as long as ever. FILE: by how many seconds the
clock of this worker is wrong; it is looked at whenever the time is asked for.
"""

import sys
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Self

from celery.bin.celery import main
from celery.worker import request

from worker import terms, wiring
from worker.app import app
from worker.store import sources
from worker.wiring import utc_now

_LONGEST_REQUEST = timedelta(seconds=3)


def moved(file: Path) -> datetime:
    """What time it is for this worker."""
    return utc_now() + timedelta(seconds=_off_by(file))


def _off_by(file: Path) -> float:
    return float(file.read_text(encoding="ascii"))


class _Moved(datetime):
    """Celery's: by it a task is too old, or not yet."""

    file = Path()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(seconds=_off_by(cls.file))


def _work(lease: timedelta, file: Path, flags: list[str]) -> None:
    if lease:
        sources.LEASE_FOR = lease
        terms._BEYOND_TIMEOUT = lease - _LONGEST_REQUEST  # noqa: SLF001
    wiring.utc_now = app.now = partial(moved, file)
    _Moved.file, request.datetime = file, _Moved
    sys.argv[1:] = ["-A", "worker.app", "worker", "--without-gossip", "--without-mingle", *flags]
    sys.exit(main())


_work(timedelta(seconds=float(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:])
