"""The timetable: one entry for each provider, and one for each sweep. It names tasks by string, and reads aloud.

When a source or a delivery is due stands in the database; an entry only wakes whoever looks there. So a tick that is
late, lost or doubled makes no difference, and any number of beats may run. `tocsin run` looks at each entry's moment
whether anything is due, and sends where nothing is but one in twenty seconds (schedules/sparing.py).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import schedule

_EVERY_SECOND = timedelta(seconds=1)
_NONE, _FIVE_SECONDS = "", timedelta(seconds=5)
"""Without any source it is looked for those that are due too, for `tocsin health` asks whether somebody does."""
_ONE_HOUR = timedelta(hours=1)


def timetable(ticks: Mapping[str, timedelta]) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule`; `ticks` says how often each provider's sources are looked through.

    Each entry expires, so that ticks don't pile up while the workers are away.
    """
    looks = ticks or {_NONE: _FIVE_SECONDS}
    polls = {f"poll {provider}": _tick("poll.tick", "poll", every, provider) for provider, every in looks.items()}
    return polls | {
        "deliver": _tick("deliver.sweep", "deliver", _EVERY_SECOND),
        "prune": _tick("retention.prune", "poll", _ONE_HOUR),
    }


def _tick(task: str, queue: str, every: timedelta, *args: str) -> dict[str, Any]:
    options = {"queue": queue, "expires": 2 * every.total_seconds()}
    return {"task": task, "schedule": schedule(every, nowfun=_utc_now), "args": args, "options": options}


def _utc_now() -> datetime:
    """Celery's own clock converts time zones through three libraries, several times a tick."""
    return datetime.now(UTC)
