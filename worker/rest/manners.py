"""What an API's headers ask of those who call it: to ask less, or only for what has changed (POLLING, section 5). Pure.

Read are `X-Poll-Interval`; `RateLimit` and `RateLimit-Policy` in both forms that the IETF's draft has had; the older
`RateLimit-Remaining` and `-Reset`, also with `X-` before them, whose reset is a number of seconds, an epoch or a date.
Nothing here raises: a header that can't be read asks for nothing.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from worker.provider import Validators
from worker.rest.reading import http_date, instant

LONGEST_REST = timedelta(days=1)
"""No header and no body keeps us away for longer at a time: what it says may be nonsense."""

_LONGEST_VALIDATOR = 1024
_STRONG_AFTER = timedelta(seconds=1)
_AN_EPOCH = 1e9
_AN_EPOCH_IN_MS = 1e11
_DECIMAL = re.compile(r"\s*(-?[0-9]{1,16}(?:\.[0-9]{1,9})?)\s*")
_ENTRY = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
_PARAMETER = re.compile(r"([a-z*][a-z0-9_.*-]*)\s*=\s*([0-9]+(?:\.[0-9]+)?)(?=\s*(?:[;,]|$))", re.IGNORECASE)
_NAME = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z*][\w.*:/-]*)(?=\s*(?:;|$))')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def validators(headers: Mapping[str, str]) -> Validators | None:
    """What the answer is known by, exactly as it was sent; None where it has nothing that may be relied on.

    A date alone is relied on if the answer was made a second later, by the same clock: until then another change may
    bear the same date (RFC 9110, section 8.8.2.2).
    """
    etag, modified = (_sendable(headers.get(name)) for name in ("etag", "last-modified"))
    if etag is None and not _is_strong(modified, headers):
        return None
    return Validators(etag, modified)


def not_before(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Until when the provider asks to be left alone, by our clock; None where it doesn't."""
    wanted = (_seconds(headers.get("x-poll-interval")), used_up_for(headers, now))
    rest = max((wait for wait in wanted if wait is not None), default=timedelta())
    return now + min(rest, LONGEST_REST) if rest > timedelta() else None


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that `Retry-After` asks for, as seconds or as a date; None where it asks for none that can be read."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return timedelta(seconds=int(value))
    date = http_date(value)
    return None if date is None else max(date - now, timedelta())


def used_up_for(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long until a limit that is used up is so no more; None where none is, or where nobody says how long."""
    waits = [*_drafted(headers), *_numbered(headers, "ratelimit", now), *_numbered(headers, "x-ratelimit", now)]
    return min(max(waits), LONGEST_REST) if waits else None


def _sendable(value: str | None) -> str | None:
    """A value that can be sent back as it is; an empty or folded one, or one without an end, can't."""
    usable = value is not None and 0 < len(value) <= _LONGEST_VALIDATOR and value.isprintable()
    return value if usable else None


def _is_strong(modified: str | None, headers: Mapping[str, str]) -> bool:
    changed, made = http_date(modified), http_date(headers.get("date"))
    return changed is not None and made is not None and made - changed >= _STRONG_AFTER


def _drafted(headers: Mapping[str, str]) -> Iterator[timedelta]:
    """`RateLimit: "a";r=0;t=30, "b";r=5`, or `limit=10, remaining=0, reset=30`: the waits for those that are used up.

    Where an entry doesn't say how long, its policy's window is the most that it can be.
    """
    windows = {name: entry["w"] for name, entry in _entries(headers.get("ratelimit-policy")) if "w" in entry}
    whole: dict[str, float] = {}
    for name, entry in _entries(headers.get("ratelimit")):
        whole.update({key: value for key, value in entry.items() if name is None})
        if entry.get("r") == 0:
            yield from _waits(entry.get("t", windows.get(name)))
    if whole.get("remaining") == 0:
        yield from _waits(whole.get("reset"))


def _entries(header: str | None) -> Iterator[tuple[str | None, dict[str, float]]]:
    """The entries of a list, each with its name, if it has one, and its parameters that are numbers."""
    for entry in _ENTRY.findall(header or ""):
        named = _NAME.match(entry)
        parameters = _QUOTED.sub("", entry)
        yield named and named[1], {key.lower(): float(value) for key, value in _PARAMETER.findall(parameters)}


def _numbered(headers: Mapping[str, str], prefix: str, now: datetime) -> Iterator[timedelta]:
    remaining, reset = _number(headers.get(f"{prefix}-remaining")), headers.get(f"{prefix}-reset")
    if remaining is None or remaining > 0 or reset is None:
        return
    theirs = http_date(headers.get("date")) or now
    written = _number(reset)
    if written is None:
        moment = instant(reset, zone=UTC) or http_date(reset)
    elif written >= _AN_EPOCH:
        moment = _epoch(written / 1000 if written >= _AN_EPOCH_IN_MS else written)
    else:
        yield from _waits(written)
        return
    if moment is not None:
        yield max(moment - theirs, timedelta())


def _epoch(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _waits(seconds: float | None) -> Iterator[timedelta]:
    if seconds is not None:
        yield timedelta(seconds=max(0, min(seconds, LONGEST_REST.total_seconds())))


def _seconds(value: str | None) -> timedelta | None:
    seconds = _number(value)
    return next(_waits(seconds), None)


def _number(value: str | None) -> float | None:
    written = _DECIMAL.fullmatch(value or "")
    return float(written[1]) if written else None
