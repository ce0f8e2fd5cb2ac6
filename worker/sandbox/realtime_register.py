"""Realtime Register's notifications as PROVIDERS section 1 describes them."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import Any, ClassVar
from urllib.parse import unquote

from worker.notification import Status
from worker.sandbox.api import Api, Raws
from worker.sandbox.filters import Violated, ordered, read_filter
from worker.sandbox.instants import seconds
from worker.sandbox.ledger import Row
from worker.sandbox.wire import Answer, Request, as_json

_TYPES: Mapping[int, tuple[str, str]] = {
    400: ("ValidationError", "Validation failed"),
    401: ("AuthenticationError", "Authentication failed"),
    403: ("AuthorizationError", "Not authorized"),
    404: ("ObjectDoesNotExist", "A referenced object does not exist"),
    429: ("TooManyRequests", "Too many requests"),
    500: ("InternalSRSError", "Internal error"),
    502: ("ProviderConnectionError", "The connection to the provider failed"),
    503: ("ProviderUnavailable", "Provider is unavailable"),
}
_SHOWING = frozenset({"limit", "offset", "total", "fields", "export"})
_PLAIN = _SHOWING | {"order", "q"}
_DEFAULT_LIMIT = 10


class RealtimeRegister(Api):
    """List, get one, poll and acknowledge for one customer.

    `patience`: so many refused credentials in a row, and every further request is `AuthenticationRatelimitedError`
    until one `forgive`s. Without `order` the rows come in an order of their own, as the listing's default is unknown.
    """

    slug: ClassVar[str] = "realtime_register"

    def __init__(self, clock: Callable[[], datetime], customer: str = "sandbox@example.nl", seed: int = 0) -> None:
        super().__init__(clock)
        self.customer = customer
        self.api_key = "sandbox-key-of-realtime-register"
        self.patience = 5
        self.acknowledged: list[str] = []
        self._refused = 0
        self._seed = seed

    @property
    def base_url(self) -> str:
        """The address up to the version, as in production."""
        return f"{self.server.url}/v2"

    def settings(self) -> dict[str, Any]:
        """The keys of a source."""
        return {
            "provider": self.slug,
            "customer": self.customer,
            "api_key": self.api_key,
            "base_url": self.base_url,
        }

    def forgive(self) -> None:
        """Forget the refused credentials."""
        self._refused = 0

    def error(self, status: int, headers: Mapping[str, str]) -> Answer:
        """`{type, message}` (PROVIDERS 1.9)."""
        kind, message = _TYPES.get(status, ("InternalSRSError", "Unexpected"))
        return as_json({"type": kind, "message": message}, status, headers)

    def refusal(self) -> Answer:
        """401, and 429 for those who don't stop."""
        self._refused += 1
        if self._refused > self.patience:
            message = "rate limited because of too many authentication/authorization failures"
            return as_json({"type": "AuthenticationRatelimitedError", "message": message}, 429)
        return self.error(401, {})

    def answer(self, request: Request) -> Answer:
        """Credentials first, then the path, then the parameters."""
        if request.headers.get("authorization") != f"ApiKey {self.api_key}" or self._refused > self.patience:
            return self.refusal()
        self.forgive()
        inside = re.fullmatch(r"/v2/customers/([^/]+)/notifications(?:/(.*))?", request.path)
        if inside is None or unquote(inside[1]) != self.customer:
            return _missing()
        try:
            return self._routed(request, (inside[2] or "").rstrip("/"))
        except Violated as violated:
            return _violations(violated)

    def _routed(self, request: Request, rest: str) -> Answer:
        acknowledging = re.fullmatch(r"([^/]+)/ack", rest)
        if request.method == "POST" and acknowledging:
            return self._acknowledge(self._row(acknowledging[1]))
        if request.method != "GET" or "/" in rest:
            return self.error(404, {})
        if not rest:
            return self._list(request)
        if rest == "poll":
            return self._poll()
        row = self._row(rest)
        return _missing() if row is None else as_json(_selected(row.raw, request.first("fields")))

    def _row(self, text: str) -> Row | None:
        if not text.lstrip("-").isdecimal():
            raise Violated("notificationId", "must be a number", text)
        return self.ledger.find(str(int(text)))

    def _list(self, request: Request) -> Answer:
        export = request.first("export") == "true"
        limit, offset = _count(request, "limit", _DEFAULT_LIMIT), _count(request, "offset", 0)
        question = tuple((key, value) for key, value in request.query if key not in _SHOWING)
        rows = self.selected(question, lambda rows: self._asked_for(request, rows))
        page = rows if export else rows[offset : offset + self.faults.page(limit)]
        fields = request.first("fields") or ("id" if export else None)
        pagination = {"limit": limit, "offset": offset, "total": len(rows)}
        if request.first("total") == "false":
            del pagination["total"]
        if limit == 0 and not export:
            return as_json({"pagination": pagination})
        return as_json({"entities": [_selected(raw, fields) for raw in page], "pagination": pagination})

    def _asked_for(self, request: Request, rows: Raws) -> Raws:
        filters = [read_filter(key, operand) for key, operand in request.query if key not in _PLAIN]
        found = [raw for raw in rows if all(one.admits(raw) for one in filters)]
        if sought := request.first("q"):
            found = [raw for raw in found if any(sought in str(value) for value in raw.values())]
        Random(self._seed).shuffle(found)
        return ordered(found, request.every("order"))

    def _poll(self) -> Answer:
        waiting = [row.raw for row in self.ledger.visible() if row.raw.get("acknowledgeDate") is None]
        first = {"notification": ordered(waiting, ["id"])[0]} if waiting else {}
        return as_json({"count": len(waiting), **first})

    def _acknowledge(self, row: Row | None) -> Answer:
        if row is None:
            return _missing()
        if row.raw.get("acknowledgeDate") is not None:
            message = "The notification is acknowledged already"
            return as_json({"type": "ObjectStatusProhibitsOperation", "message": message}, 400)
        self.acknowledged.append(row.external_id)
        news = {**row.raw, "acknowledgeDate": seconds(self.clock())}
        self.ledger.change(row.external_id, news, Status.RESOLVED)
        return Answer(200)


def _count(request: Request, name: str, default: int) -> int:
    text = request.first(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise Violated(name, "must be a number", text)
    return int(text)


def _selected(raw: Mapping[str, Any], fields: str | None) -> Mapping[str, Any]:
    if fields is None:
        return raw
    return {name: raw[name] for name in ["id", *fields.split(",")] if name in raw}


def _missing() -> Answer:
    """An unknown id is a 400, not a 404 (PROVIDERS 1.9)."""
    return as_json({"type": "ObjectDoesNotExist", "message": "A referenced object does not exist"}, 400)


def _violations(violated: Violated) -> Answer:
    message = "One or more constraints were violated"
    content = {"type": "ConstraintViolationException", "message": message, "violations": [violated.violation]}
    return as_json(content, 400)
