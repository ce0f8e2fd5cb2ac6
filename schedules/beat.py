"""Puts the timetable on the app.

celery -A schedules.beat beat
"""

from typing import Any

from schedules.timetable import timetable
from worker.app import app, ticks


def from_configuration() -> dict[str, Any]:
    """Read when Celery first asks, not when this module is imported."""
    return {"beat_schedule": timetable(ticks())}


app.add_defaults(from_configuration)
