"""Rows that are published while something else goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from worker.sandbox import Mix, Sandbox, paced


@contextmanager
def publishing(sandbox: Sandbox, mix: Mix, per_second: float) -> Iterator[None]:
    """So many a second, until the end."""
    stop = Event()
    traffic = paced(sandbox.traffic(mix), per_second, stop)
    thread = Thread(target=lambda: [None for _ in traffic])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
