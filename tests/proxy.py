"""A TCP proxy on loopback that can fall silent: what is open stays open, and nothing goes through it any more."""

import socket
import threading
from contextlib import suppress
from typing import Self

from tests.servers import LOOPBACK

_A_READ = 65536


class Proxy:
    """In front of one port. A context manager: left, every connection is cut."""

    def __init__(self, port: int) -> None:
        self._behind = (LOOPBACK, port)
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._silent: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def swallow(self) -> int:
        """From now on nothing comes through the connections that are open, either way; their number. New ones work."""
        self._silent |= set(self._open)
        return len(self._silent) // 2

    def cut(self) -> None:
        """Both sides of every connection learn that it has ended."""
        for one in tuple(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._behind, timeout=5)
            except OSError:
                near.close()  # nobody behind: refused, as without us
                continue
            far.settimeout(None)
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while read := one.recv(_A_READ):
                if one not in self._silent:
                    other.sendall(read)
        if one not in self._silent:
            with suppress(OSError):
                other.shutdown(socket.SHUT_RDWR)
