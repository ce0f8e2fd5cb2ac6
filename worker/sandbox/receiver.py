"""A receiver of webhooks on loopback: verifies with the receivers' own library, remembers all, answers by script."""

import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Condition
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from worker.sandbox.server import Server
from worker.sandbox.wire import Answer, Reply, Request

_TOLERANCE = timedelta(minutes=5)
_GOOD = Answer(204)
_UNKNOWN_PATH = Answer(404)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived, and what it was given.

    `refusal` says why its signature is not good, or is None; `ended_at` is when the answer was written or the client
    had left, None as long as it is open.
    """

    path: str
    webhook_id: str
    timestamp: str
    body: bytes
    headers: Mapping[str, str]
    arrived_at: datetime
    reply: Reply
    refusal: str | None
    ended_at: datetime | None = None

    @property
    def verified(self) -> bool:
        """Whether the signature is good and fresh."""
        return self.refusal is None

    @property
    def accepted(self) -> bool:
        """Whether it was answered with a 2xx."""
        return isinstance(self.reply, Answer) and self.reply.status // 100 == 2  # noqa: PLR2004  # the class of 2xx

    @property
    def content(self) -> Any:
        """The body's JSON. Raises ValueError where it is none."""
        return json.loads(self.body)


@dataclass(slots=True)
class _Endpoint:
    secrets: tuple[str, ...]
    script: deque[Reply] = field(default_factory=deque)
    usual: Reply = _GOOD


class Receiver:
    """Any number of endpoints, one a path, each with its own secrets and script. Thread-safe.

    A path that nobody opened is answered 404, and remembered like the others.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.server = Server(self._respond, clock, self._ended)
        self._endpoints: dict[str, _Endpoint] = {}
        self._received: list[Received] = []
        self._places: dict[int, int] = {}
        self._changed = Condition()

    def open(self, path: str, *secrets: str) -> str:
        """Receive at this path; the secrets (`whsec_…`) are made up where none is given. The first of them."""
        kept = secrets or (_made_up(path),)
        with self._changed:
            self._endpoints[path] = _Endpoint(kept)
        return kept[0]

    def url(self, path: str) -> str:
        """The address of an endpoint."""
        return f"{self.server.url}{path}"

    def script(self, path: str, *replies: Reply, then: Reply | None = None) -> None:
        """What the next requests get, one each, and what all others get after that (as before, if not said)."""
        with self._changed:
            endpoint = self._endpoints[path]
            endpoint.script.extend(replies)
            endpoint.usual = then or endpoint.usual

    def received(self, path: str | None = None) -> list[Received]:
        """All that arrived so far, in order; of one path or of all."""
        with self._changed:
            return [one for one in self._received if path in {None, one.path}]

    def wait_until(self, enough: Callable[[Sequence[Received]], bool], timeout: timedelta) -> bool:
        """Wait until what arrived is enough; False when it took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: enough(self._received), timeout.total_seconds())

    def forget(self) -> None:
        """Drop what was received; what is open stays unrecorded."""
        with self._changed:
            self._received.clear()
            self._places.clear()

    def start(self) -> Self:
        """Listen."""
        self.server.start()
        return self

    def stop(self) -> None:
        """Refuse connections and end those that are open; `start` comes back at the same address."""
        self.server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _respond(self, request: Request) -> Reply:
        endpoint = self._endpoints.get(request.path)
        refusal = "nobody receives here" if endpoint is None else _refusal(endpoint.secrets, request)
        with self._changed:
            reply = _UNKNOWN_PATH if endpoint is None else _next(endpoint)
            self._places[request.number] = len(self._received)
            self._received.append(_record(request, reply, refusal))
            self._changed.notify_all()
        return reply

    def _ended(self, request: Request) -> None:
        with self._changed:
            place = self._places.pop(request.number, None)
            if place is not None:
                self._received[place] = replace(self._received[place], ended_at=self.clock())
                self._changed.notify_all()


def _next(endpoint: _Endpoint) -> Reply:
    return endpoint.script.popleft() if endpoint.script else endpoint.usual


def _record(request: Request, reply: Reply, refusal: str | None) -> Received:
    return Received(
        path=request.path,
        webhook_id=request.headers.get("webhook-id", ""),
        timestamp=request.headers.get("webhook-timestamp", ""),
        body=request.body,
        headers=request.headers,
        arrived_at=request.arrived_at,
        reply=reply,
        refusal=refusal,
    )


def _refusal(secrets: Sequence[str], request: Request) -> str | None:
    """None if the signature verifies with one of the secrets, else what the library says of the last."""
    said: str | None = None
    for secret in secrets:
        try:
            _verify(Webhook(secret), request)
        except (WebhookVerificationError, ValueError) as wrong:
            said = str(wrong)
        else:
            return None
    return said


def _verify(webhook: Webhook, request: Request) -> None:
    """The library knows the machine's clock alone: what is old by that may be fresh by a clock turned by hand."""
    try:
        webhook.verify(request.body, dict(request.headers), json_parse=False)
    except WebhookVerificationError as wrong:
        signed_at = _instant(request.headers.get("webhook-timestamp", ""))
        if signed_at is None or "timestamp too" not in str(wrong) or abs(request.arrived_at - signed_at) > _TOLERANCE:
            raise
        expected = webhook.sign(request.headers["webhook-id"], signed_at, request.body.decode())
        if expected not in request.headers["webhook-signature"].split():
            raise WebhookVerificationError("No matching signature found") from None


def _instant(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() else None


def _made_up(path: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(path.encode()).digest()).decode()
