"""Sockets: which of those that libcurl has open are ready, and whose they are.

The standard library's `selectors` would be asked twice for every request, and take five times as long. The system is
asked once: between two requests libcurl has its sockets forgotten, and the system goes on to watch them for nobody.
"""

import math
import select
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

Owner = TypeVar("Owner")

_MILLISECOND = 1e-3
READ, WRITE = select.POLLIN, select.POLLOUT
"""As `epoll` has them too."""


class Sockets(Generic[Owner]):
    """Sockets that are watched, each for its owner. Used by one thread. `poll`: where the system has no `epoll`."""

    def __init__(self, *, poll: bool = not hasattr(select, "epoll")) -> None:
        self._owners: dict[int, Owner] = {}
        self._known: set[int] = set()
        self._poll: select.poll | select.epoll = select.poll() if poll else select.epoll()
        self._unit = _MILLISECOND if poll else 1.0

    def watch(self, fd: int, events: int, owner: Owner) -> None:
        """From now on, for these events alone. Raises OSError."""
        if fd not in self._known or not self._changed(fd, events):
            self._poll.register(fd, events)
            self._known.add(fd)
        self._owners[fd] = owner

    def forget(self, fd: int) -> None:
        """No longer: the system is told when something comes of it. Raises KeyError for one that isn't watched."""
        del self._owners[fd]

    def ready(self, seconds: float) -> Iterator[tuple[Owner, int, int]]:
        """Owner, socket and events, READ, WRITE or both, once there are any or the time is over.

        What broke is ready for both: whoever tries will see. What was forgotten meanwhile is left out.
        """
        milliseconds = math.ceil(seconds / _MILLISECOND)
        for fd, events in self._poll.poll(milliseconds * _MILLISECOND / self._unit):
            if owner := self._owners.get(fd):
                yield owner, fd, events if events in _PLAIN else READ | WRITE
            else:
                self._drop(fd)

    def _changed(self, fd: int, events: int) -> bool:
        """Whether it is still the one that the system watches: one that was closed may have come back as another."""
        try:
            self._poll.modify(fd, events)
        except FileNotFoundError:
            return False
        return True

    def _drop(self, fd: int) -> None:
        self._known.discard(fd)
        with suppress(OSError, KeyError):
            self._poll.unregister(fd)

    def close(self) -> None:
        """Watch none any more."""
        self._owners.clear()
        self._known.clear()
        if isinstance(self._poll, select.epoll):
            self._poll.close()


_PLAIN = (READ, WRITE, READ | WRITE)
