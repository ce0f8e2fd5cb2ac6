"""The in-memory broker of `tocsin run`, that is woken by what is put into it.

kombu's own asks every queue ten times a second, or as often as it is told to: half a percent of a core for nothing, and
a message waits for half an interval.
"""

import threading
from queue import Empty
from time import monotonic
from typing import Any

from kombu.transport import memory


class News:
    """That something may be there, for any number of threads that wait for it."""

    def __init__(self) -> None:
        self._told, self._count = threading.Condition(), 0

    def tell(self) -> None:
        """Wake whoever waits, and whoever has just looked in vain and is about to."""
        with self._told:
            self._count += 1
            self._told.notify_all()

    def so_far(self) -> int:
        """What to wait from: to be asked before looking."""
        return self._count

    def wait(self, since: int, seconds: float | None) -> None:
        """Until there is news after that, or for so long; None: for ever."""
        with self._told:
            self._told.wait_for(lambda: self._count != since, seconds)


_news = News()
"""For all connections: what one puts, another takes."""


class Channel(memory.Channel):  # type: ignore[misc]  # kombu has no types
    """Wakes whoever waits: for a message, or for room to take another one."""

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        super()._put(queue, message, **options)
        _news.tell()

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:  # noqa: FBT001, FBT002  # kombu's signature
        """It is done."""
        was_full = not self.qos.can_consume()
        super().basic_ack(delivery_tag, multiple)
        if was_full:
            _news.tell()


class Transport(memory.Transport):  # type: ignore[misc]  # as above
    """The same, without its polling."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:  # noqa: ARG002  # kombu's signature
        """Take one message; wait for it. Raises TimeoutError, which a socket would."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            since = _news.so_far()  # before the look: what is put after it wakes us
            try:
                self.cycle.get(self._deliver, timeout=timeout)
            except Empty:
                left = None if until is None else until - monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError from None
                _news.wait(since, left)
            else:
                return
