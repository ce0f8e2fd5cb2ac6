"""One request and its answer; an exchange is used again and again for the attempts of one target."""

import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address

import pycurl

from worker.delivery import Due, Outcome, Wire
from worker.webhooks.answer import Answer
from worker.webhooks.codes import wire_of
from worker.webhooks.guard import is_allowed
from worker.webhooks.handle import fixed_headers, hidden_texts, new_handle
from worker.webhooks.signature import sign
from worker.webhooks.target import Target

Clock = Callable[[], datetime]


class Exchange:
    """A libcurl handle with our callbacks on it.

    libcurl works on duplicates of the sockets that it is given; ours go to `handed_over`, for the caller to close.
    Raises pycurl.error and ValueError where the target can't be used.
    """

    def __init__(self, target: Target, user_agent: str, clock: Clock, handed_over: list[socket.socket]) -> None:
        self.curl = new_handle(target)
        self._target = target
        self._headers = fixed_headers(target, user_agent)
        self._clock = clock
        self._answer = Answer(hidden_texts(target), clock)
        self._handed_over = handed_over
        self._opened = self._blocked = 0
        self.curl.setopt(pycurl.HEADERFUNCTION, self._answer.header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._answer.body)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def prepare(self, due: Due, now: datetime) -> None:
        """The next request: the stored bytes, signed at this moment."""
        self._opened = self._blocked = 0
        self._answer.clear()
        self._started_at = now
        signature = sign(self._target.secrets, due.message_id, now, due.body)
        self.curl.setopt(pycurl.HTTPHEADER, [*self._headers, *map(": ".join, signature.items())])
        self.curl.setopt(pycurl.POSTFIELDS, due.body)

    def outcome(self, code: int) -> Outcome:
        """What came of it, by libcurl's code for how it ended."""
        answer = self._answer
        return Outcome(
            wire=self._wire(code),
            started_at=self._started_at,
            answered_at=answer.answered_at or self._clock(),
            duration=timedelta(microseconds=self.curl.getinfo(pycurl.TOTAL_TIME_T)),
            status_code=answer.status_code,
            response_excerpt=answer.excerpt(),
            retry_after=answer.retry_after,
        )

    @property
    def failure(self) -> Exception | None:
        """What a callback raised, if it did."""
        return self._answer.failure

    def _wire(self, code: int) -> Wire:
        if self._answer.failure:
            return Wire.FAILED
        if code == pycurl.E_WRITE_ERROR and self._answer.is_full:
            return Wire.ANSWERED
        if code == pycurl.E_COULDNT_CONNECT and not self._opened:
            return Wire.BLOCKED if self._blocked else Wire.FAILED
        return wire_of(code)

    def _open(self, _purpose: int, address: pycurl.CurlSockAddr) -> object:
        """The guard: the address that is connected to is this very one, whatever the name meant before."""
        try:
            if not is_allowed(ip_address(address.addr[0]), self._target.allow_networks):
                self._blocked += 1
                return pycurl.SOCKET_BAD
            opened = socket.socket(address.family, address.socktype, address.protocol)
        except OSError:  # no IPv6 here, or no descriptor left; another address may do
            return pycurl.SOCKET_BAD
        except Exception as error:  # noqa: BLE001  # raised again by the sender, outside libcurl
            self._answer.failure = error
            return pycurl.SOCKET_BAD
        self._handed_over.append(opened)
        self._opened += 1
        return opened
