"""Bookkeep's notifications as PROVIDERS section 2 describes them, paged the way of the Ruby gem `jsonapi.rb`."""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from worker.sandbox.api import Api, Raws
from worker.sandbox.instants import parsed
from worker.sandbox.wire import Answer, Request, as_json

_DEFAULT_SIZE = 30
_SORTS: Mapping[str, Callable[[object], Any]] = {
    "created_at": parsed,
    "ignored_at": parsed,
    "resolved_at": parsed,
    "id": lambda value: value if isinstance(value, int) else None,
    "name": lambda value: value if isinstance(value, str) else None,
}
_NOT_FOUND = {
    "status": "404",
    "source": {"pointer": "/notifications/0"},
    "title": "invalid_or_inaccessible_notification_id",
    "detail": "Notification not found or you do not have access to it.",
}


class Bookkeep(Api):
    """List and get one. `largest_size` is the size to which a larger page is clamped without a word."""

    slug: ClassVar[str] = "bookkeep"

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self.publishable_key = "sandbox-publishable-key"
        self.secret_key = "sandbox-secret-key-of-bookkeep"  # noqa: S105  # of the sandbox
        self.largest_size = 100

    @property
    def base_url(self) -> str:
        """The address up to the version, as in production."""
        return f"{self.server.url}/v1"

    def settings(self) -> dict[str, Any]:
        """The keys of a source."""
        return {
            "provider": self.slug,
            "publishable_key": self.publishable_key,
            "secret_key": self.secret_key,
            "base_url": self.base_url,
        }

    def error(self, status: int, headers: Mapping[str, str]) -> Answer:
        """`{errors: [{status, title, detail}]}`, the status a string (PROVIDERS 2.9)."""
        return as_json({"errors": [{"status": str(status), "title": f"error_{status}"}]}, status, headers)

    def refusal(self) -> Answer:
        """Plain text (PROVIDERS 2.9)."""
        headers = {"Content-Type": "text/plain", "WWW-Authenticate": 'Basic realm="Application"'}
        return Answer(401, b"HTTP Basic: Access denied.\n", headers)

    def answer(self, request: Request) -> Answer:
        """Credentials first, then the path."""
        if request.headers.get("authorization") != self._credentials():
            return self.refusal()
        inside = re.fullmatch(r"/v1/notifications(?:/([^/]+))?", request.path)
        if inside is None or request.method != "GET":
            return as_json({"error": {"message": "Unrecognized request URL", "type": "invalid_request_error"}}, 404)
        return self._list(request) if inside[1] is None else self._one(inside[1])

    def _credentials(self) -> str:
        return "Basic " + base64.b64encode(f"{self.publishable_key}:{self.secret_key}".encode()).decode()

    def _one(self, external_id: str) -> Answer:
        row = self.ledger.find(external_id)
        if row is None:
            return as_json({"errors": [_NOT_FOUND]}, 404)
        return as_json({"data": row.raw, "links": {"self": f"{self.base_url}/notifications/{external_id}"}})

    def _list(self, request: Request) -> Answer:
        sort, organization = request.first("sort") or "id", request.first("filter[organization_id_eq]")
        rows = self.selected((sort, organization), lambda rows: _sorted(_filtered(rows, organization), sort))
        size = self._size(request)
        number = max(1, _integer(request.first("page[number]"), 1))
        page = rows[(number - 1) * size : number * size]
        last = max(1, -(-len(rows) // size))
        numbers = {"current": number}
        if number > 1:
            numbers |= {"first": 1, "prev": number - 1}
        if number < last:
            numbers |= {"next": number + 1, "last": last}
        links = {rel: self._link(request, page_number, size) for rel, page_number in numbers.items()}
        return as_json(
            {
                "data": [_selected(raw, request.first("fields[notification]")) for raw in page],
                "meta": {"pagination": {**numbers, "records": len(rows)}},
                "links": {"self": f"{self.base_url}/notifications", **links},
            }
        )

    def _size(self, request: Request) -> int:
        asked = _integer(request.first("page[size]"), _DEFAULT_SIZE)
        return self.faults.page(min(asked if asked >= 1 else _DEFAULT_SIZE, self.largest_size))

    def _link(self, request: Request, number: int, size: int) -> str:
        """Unescaped, as the gem writes it: no one should follow it blindly."""
        others = [f"{key}={value}" for key, value in request.query if not key.startswith("page[")]
        query = "&".join([*others, f"page[number]={number}", f"page[size]={size}"])
        return f"{self.base_url}/notifications?{query}"


def _integer(text: str | None, default: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else default


def _filtered(rows: Raws, organization: str | None) -> Raws:
    """Unknown filters are ignored silently."""
    if organization is None:
        return rows
    return [raw for raw in rows if str(_attribute(raw, "organization_id")) == organization]


def _sorted(rows: Raws, sort: str) -> Raws:
    """By a comma list, unknown fields ignored silently, absent values last, and first when descending (PROVIDERS 2.8).

    Ties are in the order of the numeric ids.
    """
    result = sorted(rows, key=lambda raw: _SORTS["id"](_attribute(raw, "id")) or 0)
    for key in reversed(sort.split(",")):
        name = key.removeprefix("-")
        if name in _SORTS:
            result = _by(result, name, descending=key.startswith("-"))
    return result


def _by(rows: Raws, name: str, *, descending: bool) -> Raws:
    def value(raw: Mapping[str, Any]) -> Any:
        return _SORTS[name](_attribute(raw, name))

    absent = [raw for raw in rows if value(raw) is None]
    present = sorted((raw for raw in rows if value(raw) is not None), key=value, reverse=descending)
    return absent + present if descending else present + absent


def _attribute(raw: Mapping[str, Any], name: str) -> Any:
    attributes = raw.get("attributes")
    return attributes.get(name) if isinstance(attributes, Mapping) else None


def _selected(raw: Mapping[str, Any], fields: str | None) -> Mapping[str, Any]:
    if fields is None:
        return raw
    kept = {name: _attribute(raw, name) for name in fields.split(",")}
    return {**{name: raw.get(name) for name in ("id", "type")}, "attributes": kept}
