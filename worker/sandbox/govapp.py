"""Digitaal Vlaanderen's GovApp notifications as PROVIDERS section 3 describes them, with a token endpoint beside."""

import hashlib
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID, uuid4, uuid5

from worker.sandbox.api import Api, Raws
from worker.sandbox.instants import parsed
from worker.sandbox.tokens import Tokens
from worker.sandbox.wire import Answer, Request, as_json

_NAMESPACE = UUID("6f0e1a52-41c3-4c9e-8a57-5f6b1d9a2e10")
_TOKEN_PATH = "/op/v1/token"  # noqa: S105  # an address
_LIST_PATH = "/api/v1/pushNotifications/notifications"
_DEFAULT_LIMIT = 50


class RowOrder(Enum):
    """The order of the rows, which no page documents: stable, but in no way that a client may know."""

    SHUFFLED = "shuffled"
    ASCENDING = "ascending"
    DESCENDING = "descending"


class GovApp(Api):
    """The sender's list of push notifications.

    What is documented nowhere can be set: the `order` of rows, whether time bounds are `inclusive`, whether an empty
    answer leaves `notifications` out (`omit_empty`). `bearer` is a token that is good without the token endpoint.
    """

    slug: ClassVar[str] = "govapp"

    def __init__(self, clock: Callable[[], datetime], seed: int = 0) -> None:
        super().__init__(clock)
        self.tokens = Tokens(clock)
        self.bearer = "sandbox-bearer-of-govapp"
        self.order = RowOrder.SHUFFLED
        self.inclusive = False
        self.omit_empty = True
        self._seed = seed
        self._correlation_ids: set[str] = set()

    @property
    def base_url(self) -> str:
        """The address that onboarding would give."""
        return f"{self.server.url}/api/v1/pushNotifications"

    @property
    def token_url(self) -> str:
        """Where tokens are had."""
        return f"{self.server.url}{_TOKEN_PATH}"

    def settings(self) -> dict[str, Any]:
        """The keys of a source: OAuth2 with a client secret."""
        auth = {
            "kind": "oauth2",
            "token_url": self.token_url,
            "client_id": self.tokens.client_id,
            "client_secret": self.tokens.client_secret,
        }
        return {"provider": self.slug, "base_url": self.base_url, "auth": auth}

    def suffers(self, request: Request) -> bool:
        """The faults are the list's; tokens are given all the same."""
        return request.path != _TOKEN_PATH

    def error(self, status: int, headers: Mapping[str, str]) -> Answer:
        """The shape of the sibling services (PROVIDERS 3.9)."""
        title = HTTPStatus(status).phrase
        content = {"title": title, "status": status, "detail": f"DATA - {title}", "instance": str(uuid4())}
        return as_json(content, status, headers)

    def refusal(self) -> Answer:
        """401."""
        return self.error(401, {"WWW-Authenticate": "Bearer"})

    def answer(self, request: Request) -> Answer:
        """The token endpoint, or credentials, correlation id and parameters in this order."""
        if request.path == _TOKEN_PATH:
            self.tokens.audience = self.tokens.audience or self.token_url
            return self.tokens.answer(request) if request.method == "POST" else self.error(405, {})
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not (token == self.bearer or self.tokens.accepts(token)):
            return self.refusal()
        correlation_id = request.headers.get("x-correlation-id", "")
        if not correlation_id or correlation_id in self._correlation_ids:
            return self.error(400, {})
        self._correlation_ids.add(correlation_id)
        if request.path != _LIST_PATH or request.method != "GET":
            return self.error(404, {"x-correlation-id": correlation_id})
        return self._list(request, {"x-correlation-id": correlation_id})

    def _list(self, request: Request, headers: Mapping[str, str]) -> Answer:
        try:
            offset, limit = _count(request, "offset", 0), _count(request, "limit", _DEFAULT_LIMIT)
            question = tuple((key, value) for key, value in request.query if key not in {"limit", "offset"})
            rows = self.selected(
                (question, self.order, self.inclusive), lambda rows: self._ordered(self._asked_for(request, rows))
            )
        except ValueError:
            return self.error(400, headers)
        page = rows[offset : offset + self.faults.page(limit)]
        content: dict[str, Any] = {"totalAmount": len(rows)}
        if page or not self.omit_empty:
            content["notifications"] = page
        return as_json(content, headers=headers)

    def _asked_for(self, request: Request, rows: Raws) -> Raws:
        rows = self._sent(request, rows)
        if wanted := [word for value in request.every("status") for word in value.split(",")]:
            rows = [raw for raw in rows if raw.get("status") in wanted]
        if asked := request.first("messageCorrelationId"):
            rows = [raw for raw in rows if message_correlation_id(str(raw.get("id"))) == asked]
        return rows

    def _sent(self, request: Request, rows: Raws) -> Raws:
        """Those created within the bounds. Rows whose date is no date pass: a filter can't tell."""
        after, before = _instant(request, "sentAfter"), _instant(request, "sentBefore")

        def within(raw: Mapping[str, Any]) -> bool:
            at = parsed(raw.get("createdOn"))
            if at is None:
                return True
            less = operator.le if self.inclusive else operator.lt
            return (after is None or less(after, at)) and (before is None or less(at, before))

        return [raw for raw in rows if within(raw)]

    def _ordered(self, rows: Raws) -> Raws:
        if self.order is RowOrder.SHUFFLED:
            return sorted(rows, key=lambda raw: hashlib.sha256(f"{self._seed}{raw.get('id')}".encode()).digest())
        descending = self.order is RowOrder.DESCENDING
        return sorted(rows, key=lambda raw: (str(raw.get("createdOn")), str(raw.get("id"))), reverse=descending)


def message_correlation_id(external_id: str) -> str:
    """The id of the message that a notification belongs to: the sender knows it, the item doesn't hold it."""
    return str(uuid5(_NAMESPACE, external_id))


def _count(request: Request, name: str, default: int) -> int:
    text = request.first(name)
    if text is not None and not text.isdecimal():
        raise ValueError(name)
    return default if text is None else int(text)


def _instant(request: Request, name: str) -> datetime | None:
    text = request.first(name)
    at = None if text is None else parsed(text)
    if text is not None and at is None:
        raise ValueError(name)
    return at
