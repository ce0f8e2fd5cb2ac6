"""The Celery app, its queues and settings.

celery -A worker.app worker

What Celery is told stands in worker/broker/settings.py. The configuration is read when Celery first asks for the
broker's address, not when this module is imported.
"""

import os
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any

import structlog
from billiard import current_process
from celery import Celery, signals
from celery.worker import WorkController

from worker import logs, terms, wiring
from worker.broker.ending import end_within
from worker.broker.guarded import guard_channels
from worker.broker.settings import SETTINGS, broker_settings
from worker.broker.stuck import Stuck
from worker.broker.told import ToldToEnd
from worker.broker.watching import Watchdog
from worker.errors import ConfigurationError
from worker.measuring import AddressTaken, Measuring
from worker.settings import Settings
from worker.staying import spare_what_stays
from worker.store.session import TROUBLE, reason
from worker.wiring import House

_log = structlog.get_logger("app")

measuring = Measuring()
"""This process's metrics, and those of the children that it forks."""

_told_to_end = ToldToEnd()
_TO_RECORD = timedelta(seconds=3)
"""What a worker has left, once a receiver's time is over: its children record what came of it one after another."""

app = Celery("tocsin", include=["worker.tasks"])
app.conf.update(SETTINGS)
app.steps["consumer"].add(Stuck)
app.steps["worker"].add(Watchdog)
guard_channels()


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
    opened = wiring.open_house(_settings(), meter=measuring.meter)
    opened.stopping = _told_to_end
    return opened


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Celery logs as we do."""
    logs.configure(sys.stderr, json=not sys.stderr.isatty(), level=os.environ.get("TOCSIN_LOG_LEVEL", "info"))


@signals.worker_init.connect
def _see_to_the_house(sender: object, **_: object) -> None:
    """A worker that can't work doesn't start: a memory broker is one process's own, and schema and keys must fit.

    The one inside `tocsin run` is a bare WorkController: that command saw to its metrics before.
    """
    if type(sender) is WorkController:
        _opened(to_sign=True)
        return
    _require_a_broker()
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
    """Neither does a beat; the one inside `tocsin run` is a thread."""
    if threading.current_thread() is threading.main_thread():
        _require_a_broker()
        _opened()


def _require_a_broker() -> None:
    if app.conf.broker_url.startswith("memory:"):
        _refuse("broker: memory:// is one process: use `tocsin run`, or write redis://host:6379/0")


def _opened(*, to_sign: bool = False) -> None:
    try:
        home = house()
        if to_sign:
            home.signing.require()
        spare_what_stays()
    except ConfigurationError as error:
        _refuse(str(error))
    except TROUBLE as error:
        _refuse(f"database: it can't be used: {reason(error)}")


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
    """What is open finishes or is put back, in the children too, and in time; what is due stays due."""
    if not _told_to_end.is_set():
        end_within(terms.longest_timeout(house().settings) + _TO_RECORD, put_back)
    _told_to_end.set()


def put_back() -> None:
    """What this process still polls another may begin anew; where it can't be said, its lease ends by itself."""
    with suppress(*TROUBLE):
        house().put_back()
