"""Tocsin's own Celery app with something of it otherwise: `celery`, with JSON before its words.

celery_with.py '{"transport": {"socket_timeout": 1}}' -A worker.app worker

without     guards to take out: "channel", "stuck"
look_s      how often the guard against stuck messages and the watchdog look
hung_s      after how long the watchdog ends the worker
transport   options of the connection to Redis
settings    Celery's
tasks       a file: there is a task `load.nap` of 5 ms, and whoever did one writes a byte to this file
lease_s     how long a poll may be silent, and be on its way to a worker
prune_s     for how long a task prunes before it leaves the rest to another
phantoms    a file: when it is there, the window is filled with messages that nobody will acknowledge
"""

import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from celery import bootsteps
from celery.bin.celery import main
from kombu import transport

from worker import tasks
from worker.app import app
from worker.broker.stuck import Stuck
from worker.broker.watching import Watchdog
from worker.store import sources

_NAP_S = 0.005
_KOMBUS_OWN = "kombu.transport.redis:Transport"


class Phantoms(bootsteps.StartStopStep):  # type: ignore[misc]
    """What a dying Redis leaves behind in one case of ten."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    file = Path()

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Whenever Celery has connected."""
        hub.call_repeatedly(0.1, self.appear, consumer)

    def appear(self, consumer: Any) -> None:
        """Once, when asked to."""
        if self.file.exists():
            self.file.unlink()
            qos = consumer.task_consumer.channel.qos
            qos._delivered.update({f"phantom {number}": None for number in range(qos.prefetch_count)})  # noqa: SLF001


class Nap:
    """The small task."""

    trace = Path()

    @staticmethod
    def take() -> None:
        """Leave a trace of it."""
        threading.Event().wait(_NAP_S)
        with Nap.trace.open("ab") as file:
            file.write(b".")


def _otherwise(wishes: dict[str, Any]) -> None:
    without = wishes.get("without", [])
    if "channel" in without:
        transport.TRANSPORT_ALIASES["redis"] = _KOMBUS_OWN
    if "stuck" in without:
        app.steps["consumer"].discard(Stuck)
    if "look_s" in wishes:
        Stuck.every = Watchdog.every = timedelta(seconds=wishes["look_s"])
    if "hung_s" in wishes:
        Watchdog.hung_after = timedelta(seconds=wishes["hung_s"])
    if "lease_s" in wishes:
        sources.LEASE_FOR = sources._QUEUED_FOR = timedelta(seconds=wishes["lease_s"])  # noqa: SLF001
    if "prune_s" in wishes:
        tasks._PRUNE_FOR = timedelta(seconds=wishes["prune_s"])  # noqa: SLF001
    if "tasks" in wishes:
        Nap.trace = Path(wishes["tasks"])
        app.task(name="load.nap")(Nap.take)
    if "phantoms" in wishes:
        Phantoms.file = Path(wishes["phantoms"])
        app.steps["consumer"].add(Phantoms)
    app.conf.update(wishes.get("settings", {}))
    app.conf.broker_transport_options = app.conf.broker_transport_options | wishes.get("transport", {})


_otherwise(orjson.loads(sys.argv.pop(1)))
sys.exit(main())
