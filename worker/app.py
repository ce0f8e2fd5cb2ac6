"""The Celery app, its queues and settings.

celery -A worker.app worker

What each setting is for stands in the specification's CELERY.md, section 2. The configuration is read when Celery
first asks for the broker's address, not when this module is imported.
"""

import os
import sys
import threading
from datetime import timedelta
from functools import cache
from typing import Any

import structlog
from billiard import current_process
from celery import Celery, signals
from celery.apps.worker import Worker
from kombu import Queue

from worker import logs, terms, wiring
from worker.errors import ConfigurationError
from worker.measuring import AddressTaken, Measuring
from worker.settings import Settings
from worker.wiring import House

POLL, DELIVER = "poll", "deliver"
_TASK_TIME_LIMIT = timedelta(minutes=9)
_VISIBILITY_TIMEOUT = timedelta(minutes=10)
_log = structlog.get_logger("app")

measuring = Measuring()
"""This process's metrics, and those of the children that it forks."""

app = Celery("tocsin", include=["worker.tasks"])
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    enable_utc=True,
    timezone="UTC",
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_queues=[Queue(POLL), Queue(DELIVER)],
    task_default_queue=POLL,
    task_create_missing_queues=False,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=_TASK_TIME_LIMIT.total_seconds(),
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.1},
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_soft_shutdown_timeout=20,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_acquire_timeout=10,
    beat_scheduler="schedules.scheduler:Scheduler",
    beat_max_loop_interval=1,
)


def broker_settings(broker: str) -> dict[str, Any]:
    """What depends on the broker: its address, and Redis's own options."""
    if broker.startswith("memory:"):
        return {"broker_url": "memory://localhost/"}
    return {
        "broker_url": broker,
        "broker_transport_options": {
            "visibility_timeout": _VISIBILITY_TIMEOUT.total_seconds(),
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "global_keyprefix": "tocsin:",
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    }


def from_configuration() -> dict[str, Any]:
    """Celery's settings out of tocsin.toml; a configuration that can't be used ends the process, as INTERFACE says."""
    return broker_settings(_settings().broker)


def _settings() -> Settings:
    try:
        return wiring.read_settings()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error


app.add_defaults(from_configuration)


def ticks() -> dict[str, timedelta]:
    """How often to look through each configured provider's sources for those that are due."""
    return terms.ticks(_settings())


@cache
def house() -> House:
    """This process's house, opened when the first task needs it."""
    return wiring.open_house(_settings(), meter=measuring.meter)


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Celery logs as we do."""
    logs.configure(sys.stderr, json=not sys.stderr.isatty(), level=os.environ.get("TOCSIN_LOG_LEVEL", "info"))


@signals.worker_init.connect
def _see_to_the_house(sender: object, **_: object) -> None:
    """A worker that can't work doesn't start: a memory broker is one process's own, and schema and keys must fit.

    The one inside `tocsin run` is no `Worker`: that command saw to its metrics before.
    """
    if not isinstance(sender, Worker):
        _opened(to_sign=True)
        return
    if app.conf.broker_url.startswith("memory:"):
        _refuse("broker: memory:// is one process: use `tocsin run`, or write redis://host:6379/0")
    measuring.begin(_settings().metrics, _slot)
    _opened(to_sign=True)
    _serve_metrics()


def _slot() -> object:
    """This process's place in its worker's pool; whoever takes a dead one's place counts on where that ended."""
    return getattr(current_process(), "index", "main")


def _serve_metrics() -> None:
    """To work matters more than to be measured: a second worker of this machine goes on without an address."""
    try:
        measuring.serve(house())
    except AddressTaken as error:
        _set_up_logging()  # Celery does so later
        _log.warning("metrics.not_served", reason=str(error))
    except ConfigurationError as error:
        _refuse(str(error))


@signals.beat_init.connect
def _see_to_the_schema(**_: object) -> None:
    """Neither does a beat."""
    if threading.current_thread() is threading.main_thread():
        _opened()


def _opened(*, to_sign: bool = False) -> None:
    try:
        home = house()
        if to_sign:
            home.signing.require()
    except ConfigurationError as error:
        _refuse(str(error))


def _refuse(why: str) -> None:
    sys.stderr.write(f"{why}\n")
    raise SystemExit(2)


@signals.worker_process_init.connect
def _leave_the_parents_house(**_: object) -> None:
    """After a fork the parent's connections are the parent's."""
    if house.cache_info().currsize:
        house().database.forget()
        house.cache_clear()


@signals.worker_shutting_down.connect
def _begin_nothing_new(**_: object) -> None:
    """What is open finishes or is put back; what is due stays due."""
    if house.cache_info().currsize:
        house().stopping.set()
