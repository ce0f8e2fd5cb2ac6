"""Puts the timetable on the app.

celery -A schedules.beat beat
"""

from schedules.timetable import timetable
from worker.app import app
from worker.providers import PROVIDERS

app.conf.beat_schedule = timetable(PROVIDERS)
