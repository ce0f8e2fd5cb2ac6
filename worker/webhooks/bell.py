"""A bell: whoever waits for sockets is called away by another thread, at once and without looking now and then."""

from contextlib import suppress
from socket import socketpair
from typing import TYPE_CHECKING

from worker.webhooks.sockets import READ, Sockets

if TYPE_CHECKING:
    from worker.webhooks.lane import Lane


class Bell:
    """Rung by any thread; heard by the one that waits for these sockets. However often it is rung, it is heard once.

    `heard` stays until it is set back.
    """

    def __init__(self, sockets: "Sockets[Lane | Bell]") -> None:
        self.heard = False
        self._clapper, self._ear = socketpair()
        for end in (self._clapper, self._ear):
            end.settimeout(0)
        sockets.watch(self._ear.fileno(), READ, self)

    def ring(self) -> None:
        """Call; one that is full already calls, and to one that is closed nobody listens."""
        with suppress(OSError):
            self._clapper.send(b"!")

    def act(self, _fd: int, _events: int) -> bool:
        """What is done about it, as with a lane's sockets."""
        self.heard = True
        with suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass
        return False

    def wait(self) -> None:
        """Nothing is due of itself."""

    def ended(self) -> tuple[()]:
        """Nothing of its own ever ends."""
        return ()

    def close(self) -> None:
        """Let go of both ends."""
        self._clapper.close()
        self._ear.close()
