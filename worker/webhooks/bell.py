"""A bell: whoever waits for sockets is called away by another thread, at once and without looking now and then."""

from contextlib import suppress
from selectors import EVENT_READ, BaseSelector
from socket import socketpair


class Bell:
    """Rung by any thread; heard by the one that waits for this selector. However often it is rung, it is heard once.

    `heard` stays until it is set back.
    """

    def __init__(self, selector: BaseSelector) -> None:
        self.heard = False
        self._clapper, self._ear = socketpair()
        for end in (self._clapper, self._ear):
            end.settimeout(0)
        selector.register(self._ear, EVENT_READ, self)

    def ring(self) -> None:
        """Call; one that is full already calls, and to one that is closed nobody listens."""
        with suppress(OSError):
            self._clapper.send(b"!")

    def act(self, _fd: int, _events: int) -> None:
        """What a selector does about it, as with a lane's sockets."""
        self.heard = True
        with suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass

    def ended(self) -> tuple[()]:
        """Nothing of its own ever ends."""
        return ()

    def close(self) -> None:
        """Let go of both ends."""
        self._clapper.close()
        self._ear.close()
