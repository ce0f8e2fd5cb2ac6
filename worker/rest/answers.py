"""What an API's answer means: JSON in, a value or the error that says whose move it is. Pure."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.rest.reading import member, text

LONGEST_REASON = 300
"""Characters of a provider's own error text that are passed on."""

GONE = frozenset({404, 410})

_DIGITS_OF_A_NUMBER = 4000
_OK = range(200, 300)
_REDIRECT = range(300, 400)
_SERVER_ERROR = range(500, 600)
_UNAVAILABLE = 503
_ERRORS: Mapping[int, type[ProviderError]] = {
    401: AuthFailed,
    403: AuthFailed,
    407: AuthFailed,
    408: Unavailable,
    425: Unavailable,
    429: RateLimited,
}


class Refused(ContractBroken):
    """The provider refuses the request."""

    def __init__(self, detail: str, status: int, kind: str | None) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came: `headers` with lower-case names; `body` whole and decoded."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. `json` is None where the body is empty; `server_date` is its `Date` header."""

    status: int
    json: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    server_date: datetime | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says is wrong: its own word for it, if it has one, and a text for people."""

    kind: str | None
    reason: str


def understood(raw: Raw, now: datetime) -> Answer:
    """The answer, if it is one; raises the ProviderError that its status means, and ContractBroken for no JSON."""
    if raw.status not in _OK:
        refuse(raw, now)
    return Answer(raw.status, decoded(raw.body), raw.headers, http_date(raw.headers.get("date")))


def refuse(raw: Raw, now: datetime) -> NoReturn:
    """Raises the error that a status other than 2xx means (POLLING, section 5)."""
    if raw.status in _REDIRECT:
        raise ContractBroken(f"It redirects to {_host(raw.headers.get('location', ''))}; redirects are not followed.")
    told = complaint(raw.body)
    detail = f"It answered {raw.status}{': ' if told.reason else ''}{told.reason}"
    wait = retry_after(raw.headers.get("retry-after"), now)
    error = Unavailable if raw.status in _SERVER_ERROR else _ERRORS.get(raw.status)
    if error is RateLimited or (raw.status == _UNAVAILABLE and wait is not None):
        raise RateLimited(detail, wait)
    if error is not None:
        raise error(detail)
    raise Refused(detail, raw.status, told.kind)


def decoded(body: bytes) -> Any:
    """The JSON value of a body, None for an empty one. Integers stay exact; NaN and Infinity are no JSON.

    Raises ContractBroken.
    """
    if not body.strip():
        return None
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError, InvalidOperation):
        raise ContractBroken("Its answer is not JSON.") from None


def complaint(body: bytes) -> Complaint:
    """What an error's body says, in any of the shapes that are known, else as plain text; capped.

    `{type, message, violations}` · `{errors: [{title, detail}]}` · `{error: {type, message}}` · OAuth's
    `{error, error_description}` · `{title, detail}` (PROVIDERS, sections 1.9, 2.9, 3.9).
    """
    try:
        value = decoded(body)
    except ContractBroken:
        value = None
    said = _said(value) or Complaint(None, re.sub(r"<[^>]*>", " ", body[:4096].decode(errors="replace")))
    reason = " ".join(said.reason.split())
    return Complaint(said.kind, reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…")


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that `Retry-After` asks for, as seconds or as a date; None where it asks for none that can be read."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return timedelta(seconds=int(value))
    date = http_date(value)
    return None if date is None else max(date - now, timedelta())


def http_date(value: str | None) -> datetime | None:
    """A `Date` header as a UTC instant; None where it is absent or no date."""
    try:
        read = parsedate_to_datetime(value or "")
        return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _said(value: object) -> Complaint | None:
    error, errors = member(value, "error"), member(value, "errors")
    if isinstance(errors, list) and errors:
        return _worded(errors[0], "title", ("title", "detail"))
    if isinstance(error, Mapping):
        return _worded(error, "type", ("message",))
    if isinstance(error, str):
        return _worded(value, "error", ("error", "error_description"))
    if text(member(value, "message")):
        return _worded(value, "type", ("type", "message", "violations"))
    return _worded(value, "type", ("title", "detail"))


def _worded(value: object, kind: str, names: tuple[str, ...]) -> Complaint | None:
    words = [word for name in names if (word := _word(member(value, name)))]
    return Complaint(text(member(value, kind)), ": ".join(words)) if words else None


def _word(value: object) -> str | None:
    """A text; or RTR's list of violations, `{field, message}` each."""
    if not isinstance(value, list):
        return text(value)
    return ", ".join(f"{text(member(one, 'field'))} {text(member(one, 'message')) or ''}".strip() for one in value)


def _host(location: str) -> str:
    """Where a redirect leads, without its path and query: they may hold secrets."""
    try:
        return urlsplit(location).hostname or "another path"
    except ValueError:
        return "no address"


def _number(digits: str) -> float | int:
    """What a float can't hold is an exact integer, so that it can be kept and written again."""
    near = float(digits)
    if math.isfinite(near):
        return near
    exact = Decimal(digits)
    if exact.adjusted() > _DIGITS_OF_A_NUMBER:
        raise ValueError("a number without bounds")
    return int(exact)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
