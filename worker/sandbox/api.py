"""What the sandbox's three APIs have in common: a ledger to show, faults to suffer, a log of what was asked."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Self

from worker.sandbox.faults import Fail, Faults, Refuse
from worker.sandbox.ledger import Ledger
from worker.sandbox.server import Server
from worker.sandbox.wire import Answer, Reply, Request

Raws = list[Mapping[str, Any]]
"""Rows in the provider's JSON."""

_REMEMBERED = 10_000


class Api(ABC):
    """One provider's API on loopback.

    `requests` holds the latest 10,000 that came in; `meanwhile` is called before each is answered, which is the moment
    to publish, change or withdraw something between two pages.
    """

    slug: ClassVar[str]

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.ledger = Ledger(clock)
        self.faults = Faults(clock)
        self.requests: deque[Request] = deque(maxlen=_REMEMBERED)
        self.meanwhile: Callable[[Request], None] = lambda _: None
        self.server = Server(self.respond, clock)
        self._selection: tuple[Hashable, Raws] = (None, [])

    @property
    @abstractmethod
    def base_url(self) -> str:
        """The address that a source is configured with."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The keys of a source of this provider, as INTERFACE section 1 names them, with plain-text secrets."""

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """The API when nothing goes wrong."""

    @abstractmethod
    def error(self, status: int, headers: Mapping[str, str]) -> Answer:
        """An error in the provider's own words."""

    @abstractmethod
    def refusal(self) -> Answer:
        """What is said to wrong credentials."""

    def suffers(self, request: Request) -> bool:  # noqa: ARG002  # for APIs with more than one door
        """Whether the faults are for this request too."""
        return True

    def respond(self, request: Request) -> Reply:
        """The reply to one request, faults included."""
        self.requests.append(request)
        if not self.suffers(request):
            return self.answer(request)
        self.meanwhile(request)
        match self.faults.take():
            case None:
                reply: Reply = self.answer(request)
            case Fail(status, headers):
                reply = self.error(status, headers)
            case Refuse():
                reply = self.refusal()
            case misdeed:
                reply = misdeed
        return replace(reply, after=reply.after + self.faults.slowness) if isinstance(reply, Answer) else reply

    def selected(self, question: Hashable, select: Callable[[Raws], Raws]) -> Raws:
        """The visible rows through `select`; made again only for another question, or where something has changed."""
        changes = self.ledger.changes
        rows = [row.raw for row in self.ledger.visible()]
        asked = (question, changes, len(rows))
        known, selection = self._selection
        if known != asked:
            selection = select(rows)
            self._selection = (asked, selection)
        return selection

    def start(self) -> Self:
        """Listen."""
        self.server.start()
        return self

    def stop(self) -> None:
        """Refuse connections; the ledger stays."""
        self.server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
