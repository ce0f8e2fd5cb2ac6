"""What an API's answer means: JSON in, a value or the error that says whose move it is. Pure."""

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from urllib.parse import urlsplit

import orjson

from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.provider import Validators
from worker.rest.manners import LONGEST_REST, not_before, retry_after, used_up_for, validators
from worker.rest.reading import http_date, member, text

LONGEST_REASON = 300
"""Characters of a provider's own error text that are passed on."""

GONE = frozenset({404, 410})
NOT_MODIFIED = 304

BackAt = Callable[[Any], datetime | None]
"""What a provider's own error body, as JSON, says about when it is back; by the provider's clock."""

_DIGITS_OF_A_NUMBER = 4000
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_BEYOND_64_BITS = b"0" * 19
"""So many digits may be an integer that orjson makes a float of; whatever else it can't read exactly, it refuses."""

_OK = range(200, 300)
_REDIRECT = range(300, 400)
_SERVER_ERROR = range(500, 600)
_FORBIDDEN = 403
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
    """A successful answer. `json` is None where the body is empty; `server_date` is its `Date` header.

    `not_modified`: it is what the validators that were sent stand for, and has no body. `validators`: what it is known
    by. `not_before`: the provider asks to be left alone until then, by our clock; `used_up_until`: nothing is left of a
    limit until then.
    """

    status: int
    json: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    server_date: datetime | None
    not_modified: bool = False
    validators: Validators | None = None
    not_before: datetime | None = None
    used_up_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says is wrong: its own word for it, if it has one, and a text for people."""

    kind: str | None
    reason: str


def says_nothing(_: Any) -> datetime | None:
    """Of a provider whose errors don't say when it is back."""
    return None


def understood(raw: Raw, now: datetime, back_at: BackAt = says_nothing) -> Answer:
    """The answer, if it is one; raises the ProviderError that its status means, and ContractBroken for no JSON."""
    if raw.status not in _OK:
        refuse(raw, now, back_at)
    return _answer(raw, decoded(raw.body), now)


def unchanged(raw: Raw, sent: Validators, now: datetime) -> Answer:
    """The answer that a 304 is to a request with validators: these stay what it is known by."""
    return replace(_answer(raw, None, now), not_modified=True, validators=sent)


def refuse(raw: Raw, now: datetime, back_at: BackAt = says_nothing) -> NoReturn:
    """Raises the error that a status other than 2xx means (POLLING, section 5)."""
    if raw.status in _REDIRECT:
        raise ContractBroken(f"It redirects to {_host(raw.headers.get('location', ''))}; redirects are not followed.")
    told = complaint(raw.body)
    detail = f"It answered {raw.status}{': ' if told.reason else ''}{told.reason}"
    wait = _wait(raw, now, back_at)
    error = Unavailable if raw.status in _SERVER_ERROR else _ERRORS.get(raw.status)
    if error is RateLimited or (wait is not None and raw.status in {_FORBIDDEN, _UNAVAILABLE}):
        raise RateLimited(detail, wait)
    if error is not None:
        raise error(detail)
    raise Refused(detail, raw.status, told.kind)


def _answer(raw: Raw, json: Any, now: datetime) -> Answer:
    used_up = used_up_for(raw.headers, now)
    return Answer(
        raw.status,
        json,
        raw.headers,
        http_date(raw.headers.get("date")),
        validators=validators(raw.headers),
        not_before=not_before(raw.headers, now),
        used_up_until=None if used_up is None else now + used_up,
    )


def _wait(raw: Raw, now: datetime, back_at: BackAt) -> timedelta | None:
    """How long a refusal asks us to wait: by `Retry-After`, else by a limit that is used up, else in its body's words.

    A 403 that says so is a limit as well, and no matter of credentials (GitHub).
    """
    wait = retry_after(raw.headers.get("retry-after"), now)
    if wait is None:
        wait = used_up_for(raw.headers, now)
    if wait is None and raw.status == _UNAVAILABLE:
        wait = _until(back_at(_told(raw.body)), http_date(raw.headers.get("date")) or now)
    return wait


def _until(moment: datetime | None, now: datetime) -> timedelta | None:
    return None if moment is None or moment <= now else min(moment - now, LONGEST_REST)


def _told(body: bytes) -> Any:
    """An error's body as JSON; None where it is none."""
    try:
        return decoded(body)
    except ContractBroken:
        return None


def decoded(body: bytes) -> Any:
    """The JSON value of a body, None for an empty one. Integers stay exact; NaN and Infinity are no JSON.

    Raises ContractBroken.
    """
    if not body.strip():
        return None
    if _BEYOND_64_BITS not in body.translate(_DIGITS):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(body)
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError, InvalidOperation):
        raise ContractBroken("Its answer is not JSON.") from None


def complaint(body: bytes) -> Complaint:
    """What an error's body says, in any of the shapes that are known, else as plain text; capped.

    `{type, message, violations}` · `{errors: [{title, detail}]}` · `{error: {type, message}}` · OAuth's
    `{error, error_description}` · `{title, detail}` (PROVIDERS, sections 1.9, 2.9, 3.9).
    """
    said = _said(_told(body)) or Complaint(None, re.sub(r"<[^>]*>", " ", body[:4096].decode(errors="replace")))
    reason = " ".join(said.reason.split())
    return Complaint(said.kind, reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…")


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
