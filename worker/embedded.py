"""Worker and beat in one process, on the in-memory broker: `tocsin run` (CELERY.md, section 4).

A stop is asked for by SIGTERM or SIGINT: nothing new is begun, what is open finishes. A deadline stands beside it:
what has not finished by then is put back, and the process ends.
"""

import signal
import sys
import threading
from datetime import timedelta
from typing import Any

import structlog
from celery import bootsteps
from celery.beat import EmbeddedService
from celery.platforms import EX_FAILURE, EX_OK
from celery.worker import WorkController, state

from worker import terms
from worker.app import app, house, measuring, put_back
from worker.broker.ending import end_within
from worker.broker.settings import broker_settings
from worker.errors import ConfigurationError
from worker.sweeper import Sweeper
from worker.wiring import House, read_settings

_PREFETCH = 32
_THREADS = 10
_SWITCH_S = 0.0005
"""Polls compute, deliveries mostly wait: these would wait for Python's five milliseconds more, after each answer."""
_FOR_EVER = timedelta(days=36_500)
_TO_RECORD = timedelta(seconds=1)
_log = structlog.get_logger("run")


class Beat(bootsteps.StartStopStep):  # type: ignore[misc]
    """The scheduler as a thread of the worker. One that dies ends the process, for its supervisor to see."""

    requires = ("celery.worker.components:Pool",)
    scheduler: type | str = "schedules.sparing:Sparing"

    def create(self, worker: WorkController) -> threading.Thread:
        """The thread, and the watch over it; not yet started."""
        thread: threading.Thread = EmbeddedService(app, thread=True, scheduler_cls=self.scheduler)
        worker.beat_watch = threading.Thread(target=_watch, args=(thread, worker), name="beat-watch", daemon=True)
        return thread

    def start(self, worker: WorkController) -> None:
        """Start both. Beat's first ticks come after an interval; whoever starts a daemon wants to see it work now."""
        super().start(worker)
        worker.beat_watch.start()
        for entry in app.conf.beat_schedule.values():
            app.send_task(entry["task"], entry["args"], **entry["options"])


def run() -> int:
    """Poll and deliver until told to stop; the exit status. Must be called in the main thread.

    Raises ConfigurationError where its metrics can't be served.
    """
    app.conf.update(
        broker_settings("memory://"),
        worker_prefetch_multiplier=_PREFETCH,
    )
    app.loader.import_module("schedules.beat")  # by name: the schedules stand above the worker
    app.steps["worker"].add(Beat)
    home = _measured()
    home.sweep_for = _FOR_EVER  # no endpoint waits until another's slow requests have ended
    home.unqueue()
    sys.setswitchinterval(_SWITCH_S)
    worker = WorkController(
        app=app,
        pool_cls="threads",
        concurrency=_THREADS,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: _stop())
    _log.info("run.started", sources=len(home.settings.sources), endpoints=len(home.settings.endpoints))
    tasks: Any = app.loader.import_module("worker.tasks")
    with tasks.swept_by(Sweeper(tasks.sweep_now, home.sender.wake)):
        worker.start()
    measuring.close()
    home.close()
    _log.info("run.stopped")
    return int(worker.exitcode or EX_OK)


def _measured() -> House:
    """The house, with its metrics served."""
    measuring.begin(read_settings().metrics)
    try:
        measuring.serve(house())
    except ConfigurationError:
        house().close()
        raise
    return house()


def _stop() -> None:
    """Begin nothing new, and see that the end comes in time."""
    if not house().stopping.is_set():
        house().stopping.set()
        state.should_stop = EX_OK
        end_within(terms.longest_timeout(house().settings) + _TO_RECORD, put_back)


def _watch(beat: threading.Thread, worker: WorkController) -> None:
    beat.join()
    if not house().stopping.is_set():
        _log.critical("run.beat_died")
        worker.exitcode = EX_FAILURE
        house().stopping.set()
        state.should_stop = EX_FAILURE
