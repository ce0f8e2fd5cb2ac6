"""The end of a worker that is told to end: what is open gets so much time, and no more.

Celery's warm shutdown waits for what runs, however long that takes (`worker_soft_shutdown_timeout` is only for a cold
one), and nobody ends a thread. Whoever supervises would kill it then, and in the middle of what still went well.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import structlog
from billiard import active_children
from celery.platforms import EX_OK

_TO_PUT_BACK = timedelta(seconds=2)
_log = structlog.get_logger("worker")


def end_within(limit: timedelta, put_back: Callable[[], object]) -> None:
    """From now on this process has so long to end; then it does, with all of its children.

    `put_back` is called then, and waited for a moment. What it leaves open ends by itself: a claim, a poll's lease.
    """
    threading.Thread(target=_end, args=(limit, put_back), name="deadline", daemon=True).start()


def _end(limit: timedelta, put_back: Callable[[], object]) -> None:
    threading.Event().wait(limit.total_seconds())
    _log.warning("worker.gave_up", seconds=limit.total_seconds(), why="what is still open is begun anew by another")
    putting = threading.Thread(target=put_back, name="put-back", daemon=True)
    putting.start()
    putting.join(_TO_PUT_BACK.total_seconds())
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    sys.stderr.flush()
    os._exit(EX_OK)
