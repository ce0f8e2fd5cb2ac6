"""Reading what providers write: instants, texts, ids. Pure, and liberal: a value that can't be read is None.

Nothing here raises for a bad value: one odd field never rejects an item (PROVIDERS, section 0.2 rules 4 and 5).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from worker.errors import ItemRejected
from worker.notification import Item
from worker.revision import DEEPEST_ITEM

LONGEST_ID = 512
"""Characters of an external id; a longer one is not usable."""

_INSTANT = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(?:([Zz])|([+-])(\d\d):?(\d\d)?)?\s*",
    re.ASCII,
)
_AS_MOST_WRITE_IT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII).fullmatch
"""`2026-01-31T12:00:00Z`, or with a fraction down to microseconds; what Python then reads it as, it is."""

_HOLDING = frozenset({dict, list})
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


def instant(value: object, *, zone: timezone | None = None) -> datetime | None:
    """The UTC instant that a provider's text means; None when it means none.

    Any number of fractional digits, cut to microseconds; `Z` or an offset, in either case. A text without a zone is
    read in `zone`, and means nothing where that is None: a guessed zone would be a wrong instant.
    """
    if not isinstance(value, str):
        return None
    if _AS_MOST_WRITE_IT(value):
        try:
            return datetime.fromisoformat(value)  # in a tenth of the time
        except ValueError:
            pass  # a leap second, or no such day
    match = _INSTANT.fullmatch(value)
    if match is None:
        return None
    zone = _zone(match) or zone
    if zone is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    second = int(match[6] or 0)
    micros = int((match[7] or "")[:6].ljust(6, "0"))
    leap = timedelta(seconds=1 if second == 60 else 0)  # noqa: PLR2004  # a leap second is the next minute's first
    try:
        local = datetime(year, month, day, hour, minute, second - leap.seconds, micros, zone)
        return (local + leap).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def http_date(value: str | None) -> datetime | None:
    """A header's date (RFC 9110, section 5.6.7) as a UTC instant; None where it is absent or no date."""
    try:
        read = parsedate_to_datetime(value or "")
        return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text(value: object) -> str | None:
    """The text, with what no database can hold replaced by U+FFFD; a number as text; None for no text at all."""
    if type(value) is not str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        value = str(value)
    written = value if value.isascii() and "\0" not in value else _UNWRITABLE.sub("\ufffd", value)
    return written if written and not written.isspace() else None


def lines(value: object) -> str | None:
    """Text of several lines: white space collapsed within a line, empty lines dropped (CLARIFICATIONS, 18)."""
    written = text(value)
    if written is None or _is_plain_line(written):
        return written
    return "\n".join(kept for line in written.splitlines() if (kept := " ".join(line.split()))) or None


def external_id(value: object) -> str | None:
    """The id as a string, left exact; None where it is not usable: neither an integer nor a text of 1 to 512."""
    if type(value) is str:
        written = value
    elif isinstance(value, bool) or not isinstance(value, str | int):
        return None
    else:
        written = str(value)
    return written if written and len(written) <= LONGEST_ID and not written.isspace() else None


def member(value: object, name: str) -> Any:
    """A member of a JSON object; None where it is absent, or where the value is no object."""
    return value.get(name) if isinstance(value, Mapping) else None


def latest(*instants: datetime | None) -> datetime | None:
    """The latest of those that are known."""
    return max((known for known in instants if known is not None), default=None)


def earliest(*instants: datetime | None) -> datetime | None:
    """The earliest of those that are known."""
    return min((known for known in instants if known is not None), default=None)


def checked(item: object) -> Item:
    """The item, if it is a JSON object of sane depth; raises ItemRejected otherwise."""
    if not isinstance(item, Mapping):
        raise ItemRejected(f"it is no JSON object but {json_kind(item)}")
    if _deeper_than(item, DEEPEST_ITEM):
        raise ItemRejected(f"it is nested more than {DEEPEST_ITEM} levels deep")
    return item


def json_kind(value: object) -> str:
    """What JSON calls the value, with an article: for messages."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    kinds = {str: "a string", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return kinds.get(type(value), "no JSON")


def _is_plain_line(text: str) -> bool:
    """One line of ASCII without white space to be collapsed. Not empty."""
    return text.isascii() and text.isprintable() and "  " not in text and text[0] != " " and text[-1] != " "


def _zone(match: re.Match[str]) -> timezone | None:
    if match[8]:
        return UTC
    if not match[9]:
        return None
    offset = timedelta(hours=int(match[10]), minutes=int(match[11] or 0))
    if offset >= timedelta(hours=24):
        return None
    return timezone(-offset if match[9] == "-" else offset)


def _deeper_than(item: Item, limit: int) -> bool:
    """Level by level, of what is a dict or a list: JSON is read into no kin of theirs."""
    level: list[Any] = [item]
    for _ in range(limit - 1):
        level = [
            inner
            for outer in level
            for inner in (outer if type(outer) is list else outer.values())
            if type(inner) in _HOLDING
        ]
        if not level:
            return False
    return any(level)  # the deepest may be there, and empty
