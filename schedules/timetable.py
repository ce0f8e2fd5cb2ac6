"""The timetable: one entry for each provider, and one for each sweep. It names tasks by string, and reads aloud.

When a source or a delivery is due stands in the database; an entry only wakes whoever looks there. So a tick that is
late, lost or doubled makes no difference, and any number of beats may run.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from celery.schedules import crontab

_EVERY_SECOND = timedelta(seconds=1)
_TWO_INTERVALS_S = 2
_ONE_HOUR_S = 3600


def timetable(providers: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule`. Each entry expires, so that ticks don't pile up while the workers are away."""
    polls = {f"poll {provider}": _tick("poll.tick", "poll", provider) for provider in providers}
    return polls | {
        "deliver": _tick("deliver.sweep", "deliver"),
        "prune daily": {
            "task": "retention.prune",
            "schedule": crontab(hour="3", minute="17"),
            "options": {"queue": "poll", "expires": _ONE_HOUR_S},
        },
    }


def _tick(task: str, queue: str, *args: str) -> dict[str, Any]:
    options = {"queue": queue, "expires": _TWO_INTERVALS_S}
    return {"task": task, "schedule": _EVERY_SECOND, "args": args, "options": options}
