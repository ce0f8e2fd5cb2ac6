"""Servers that a storm may strike, one blow at a time."""

import signal
from contextlib import suppress
from threading import Event, Lock
from typing import Final

import psycopg
import redis

from tests.servers import LOOPBACK, Postgres, Redis

FAST: Final = signal.SIGINT
IMMEDIATE: Final = signal.SIGQUIT


class StormyPostgres(Postgres):
    """What it has committed outlives any end of its processes; only a power cut would be too much for it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    def restart(self, how: signal.Signals, away_s: float) -> None:
        """Shut down, and be back after a while."""
        with self._lock:
            self._end(how)
            Event().wait(away_s)
            self.start()

    def cut(self) -> None:
        """Every connection ends."""
        with self._lock, suppress(psycopg.OperationalError):
            self._say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'")

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", "synchronous_commit=on"]


class StormyRedis(Redis):
    """It keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    def restart(self, away_s: float) -> None:
        """Killed, and back after a while, empty."""
        with self._lock:
            self.kill()
            Event().wait(away_s)
            self.start()

    def cut(self) -> None:
        """Every connection ends."""
        with self._lock, redis.Redis(LOOPBACK, self.port) as client:
            client.client_kill_filter(_type="normal", skipme=True)
            client.client_kill_filter(_type="pubsub")

    def _command(self) -> list[str]:
        return [*super()._command(), "--appendonly", "no"]
