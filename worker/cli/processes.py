"""`tocsin run`: everything in one process. `tocsin worker` and `tocsin beat`: one of many, around a Redis.

Each of those two becomes Celery's own process.
"""

import os
import signal
import sys
from typing import Annotated

import typer

from worker import wiring
from worker.cli.scope import settings

Flags = Annotated[list[str] | None, typer.Argument(metavar="[-- FLAG…]", help="Flags after -- go to Celery.")]

_WORKER = ("-A", "worker.app", "worker", "--without-gossip", "--without-mingle")
_BEAT = ("-A", "schedules.beat", "beat")


def run() -> None:
    """Poll and deliver, everything in one process, until SIGTERM or SIGINT."""
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: sys.exit(0))  # nothing has begun yet; the daemon has its own way to end
    wiring.open_house(settings(), to_sign=True).close()  # says what is wrong before anything starts
    from worker import embedded  # noqa: PLC0415  # Celery takes a while to load, and only this command needs it

    raise typer.Exit(embedded.run())


def worker(flags: Flags = None) -> None:
    """One worker, for a Redis broker; any number of them. It polls and delivers until SIGTERM.

    `tocsin worker -- --pool threads --concurrency 8` has threads for processes; `-- --queues poll` polls only.
    """
    _become(*_WORKER, *(flags or ()))


def beat(flags: Flags = None) -> None:
    """One scheduler, for a Redis broker; any number of them: a tick that comes twice makes no difference."""
    _become(*_BEAT, *(flags or ()))


def _become(*words: str) -> None:
    """This process, but Celery's from now on: who watches it, signals it and waits for it needs to know no other."""
    settings()  # says what is wrong before anything starts
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "celery", *words])  # noqa: S606  # no shell, and no words but ours
