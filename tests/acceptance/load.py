"""Workers of ours under a load of small tasks, on a Redis that may die."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import redis
from celery import Celery

from tests.acceptance.processes import SCRIPTS, Running, Tocsin
from tests.servers import LOOPBACK, Redis
from worker.broker.settings import POLL, SETTINGS, broker_settings

ROUNDS: Final = int(os.environ.get("TOCSIN_ROUNDS", "2"))
"""How much time there is: `make test` has some, `make nightly` more."""
OFTEN: Final = 20
"""With so many rounds there is time for all that takes long."""
PREFORK: Final = ("--pool", "prefork", "--concurrency", "2")
THREADS: Final = ("--pool", "threads", "--concurrency", "4")
MANY: Final = 4000
_STARTED_WITHIN_S: Final = 60.0
_QUEUE: Final = f"tocsin:{POLL}"


def celery_with(wishes: dict[str, Any], *words: str) -> tuple[str, ...]:
    """The command of `celery_with.py`."""
    return (sys.executable, str(SCRIPTS / "celery_with.py"), orjson.dumps(wishes).decode(), *words)


class Busy:
    """A worker whose small tasks leave a trace."""

    def __init__(self, running: Running, trace: Path) -> None:
        self.running = running
        self._trace = trace

    @property
    def done(self) -> int:
        """How many tasks it did so far."""
        return self._trace.stat().st_size if self._trace.exists() else 0

    def works(self, within_s: float, more_than: int = 0) -> None:
        """It does more than so many from now on. Raises AssertionError."""
        before = self.done
        self.running.until(lambda: self.done > before + more_than, "it works", within_s)

    def is_stuck(self) -> None:
        """From now on its window is full of messages that nobody will acknowledge."""
        phantoms(self._trace).touch()
        self.running.until(lambda: not phantoms(self._trace).exists(), "its window is full")


@contextmanager
def busy(tocsin: Tocsin, pool: tuple[str, ...], **wishes: Any) -> Iterator[Busy]:
    """One such worker."""
    trace = tocsin.folder / f"{uuid4().hex}.trace"
    words = ("-A", "worker.app", "worker", *pool, "--without-gossip", "--without-mingle", "--hostname", trace.stem)
    wishes |= {"tasks": str(trace), "phantoms": str(phantoms(trace))}
    with tocsin.start(*celery_with(wishes, *words)) as running:
        yield Busy(running, trace)


@contextmanager
def both(tocsin: Tocsin, load: "Load", **wishes: Any) -> Iterator[tuple[Busy, Busy]]:
    """A worker of either kind."""
    load.add(MANY)
    with busy(tocsin, PREFORK, **wishes) as prefork, busy(tocsin, THREADS, **wishes) as threads:
        for worker in (prefork, threads):
            worker.works(_STARTED_WITHIN_S)
        yield prefork, threads


def phantoms(trace: Path) -> Path:
    """What makes them appear in the worker with this trace."""
    return trace.with_suffix(".phantoms")


def sender(server: Redis) -> Celery:
    """What sends any task to our queues; to be closed."""
    app = Celery("load")
    app.conf.update(SETTINGS, **broker_settings(server.url))
    return app


class Load:
    """Small tasks, thousands at once."""

    def __init__(self, server: Redis) -> None:
        self._port = server.port
        with closing(sender(server)) as app, app.connection_for_write() as connection:
            app.send_task("load.nap", queue=POLL, connection=connection)
        with redis.Redis(LOOPBACK, self._port) as client:
            self._one = orjson.loads(client.rpop(_QUEUE) or b"")

    def add(self, count: int) -> None:
        """So many more."""
        with redis.Redis(LOOPBACK, self._port) as client:
            client.lpush(_QUEUE, *(self._another() for _ in range(count)))

    def ensure(self, count: int) -> None:
        """So many wait at least."""
        with redis.Redis(LOOPBACK, self._port) as client:
            missing = count - client.llen(_QUEUE)
        if missing > 0:
            self.add(missing)

    def _another(self) -> bytes:
        one, number = self._one, str(uuid4())
        properties = {**one["properties"], "correlation_id": number, "delivery_tag": str(uuid4())}
        return orjson.dumps({**one, "headers": {**one["headers"], "id": number}, "properties": properties})
