"""Connections that are kept between polls: not those of ten thousand sources at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.rest.client import Client

_MOST = 100


class Kept:
    """Clients by name. Those that were used last keep their connections, `most` at most; what is in use always does.

    A client whose connections were closed opens others when it is used again.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._clients: dict[str, Client] = {}
        self._idle: dict[str, Client] = {}
        self._lock = threading.Lock()

    def add(self, name: str, client: Client) -> None:
        """A client that has no connections yet."""
        self._clients[name] = client

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """While a client is used, by one thread."""
        with self._lock:
            self._idle.pop(name, None)
        try:
            yield
        finally:
            with self._lock:
                self._idle[name] = self._clients[name]
                if len(self._idle) > self._most:
                    self._idle.pop(next(iter(self._idle))).close()

    def close(self) -> None:
        """Close the connections of all."""
        for client in self._clients.values():
            client.close()
