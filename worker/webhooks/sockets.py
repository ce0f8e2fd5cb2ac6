"""Sockets: which of those that libcurl has open are ready, and whose they are.

The standard library's `selectors` would be asked twice for every request, and take five times as long.
"""

import math
import select
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Owner = TypeVar("Owner")

_MILLISECOND = 1e-3
READ, WRITE = select.POLLIN, select.POLLOUT
"""As `epoll` has them too."""


class Sockets(Generic[Owner]):
    """Sockets that are watched, each for its owner. Used by one thread. `poll`: where the system has no `epoll`."""

    def __init__(self, *, poll: bool = not hasattr(select, "epoll")) -> None:
        self._owners: dict[int, Owner] = {}
        self._poll: select.poll | select.epoll = select.poll() if poll else select.epoll()
        self._unit = _MILLISECOND if poll else 1.0

    def watch(self, fd: int, events: int, owner: Owner) -> None:
        """From now on, for these events alone. Raises OSError."""
        change: Callable[[int, int], object] = self._poll.modify if fd in self._owners else self._poll.register
        change(fd, events)
        self._owners[fd] = owner

    def forget(self, fd: int) -> None:
        """No longer. Raises KeyError for a socket that isn't watched, and OSError for one that is closed."""
        del self._owners[fd]
        self._poll.unregister(fd)

    def ready(self, seconds: float) -> Iterator[tuple[Owner, int, int]]:
        """Owner, socket and events, READ, WRITE or both, once there are any or the time is over.

        What broke is ready for both: whoever tries will see. What was forgotten meanwhile is left out.
        """
        milliseconds = math.ceil(seconds / _MILLISECOND)
        for fd, events in self._poll.poll(milliseconds * _MILLISECOND / self._unit):
            if owner := self._owners.get(fd):
                yield owner, fd, events if events in _PLAIN else READ | WRITE

    def close(self) -> None:
        """Watch none any more."""
        self._owners.clear()
        if isinstance(self._poll, select.epoll):
            self._poll.close()


_PLAIN = (READ, WRITE, READ | WRITE)
