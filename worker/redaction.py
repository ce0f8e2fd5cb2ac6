"""What nobody may read: secrets are left out of every text and value that is shown (INTERFACE, section 5)."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from worker.notification import rfc3339

_MASK = "***"
_SECRET_KEY = re.compile(r"secret|token|pass(word|wd|phrase)|authori[sz]ation|credential|cookie|api[_-]?key|private")
_SECRET_KEYS = frozenset({"key", "keys", "auth", "body", "headers", "signature", "webhook-signature"})
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"<>]*")
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(\s/[^\s?]*)\?\S+"), r"\1"),
    (re.compile(r"\b(ApiKey|Bearer|Basic)\s+[\w+/=.~-]{8,}", re.IGNORECASE), rf"\1 {_MASK}"),
    (re.compile(r"\bwhs(ec|k)_[\w+/=-]+"), _MASK),
    (re.compile(r"\b(\w*(?:password|secret|token|api_?key)['\"]?\s*[=:]\s*)\S+", re.IGNORECASE), rf"\1{_MASK}"),
)
_SUSPICIOUS = ("?", "apikey", "bearer", "basic", "whs", "password", "secret", "token", "api_key")
_JOINED = str.maketrans("", "", "-_")
_PLAIN = frozenset({type(None), bool, int, float})
_FLAT = _PLAIN | {str}


def shown_url(url: str) -> str:
    """The URL without user, password, query and fragment (INTERFACE, section 3); what can't be taken apart is hidden.

    A password with an unescaped `/`, `?` or `#` looks like a host with a port; only a number is one.
    """
    scheme, separator, rest = url.partition("://")
    end = next((at for at, sign in enumerate(rest) if sign in "/?#\\"), len(rest))
    host = rest[:end].rpartition("@")[2]
    path = re.split(r"[?#]", rest[end:])[0]
    if not separator or not re.fullmatch(r"(\[[0-9A-Za-z:.%]*\]|[^:\[\]]*)(:[0-9]*)?", host) or "\\" in path:
        return _MASK
    return f"{scheme}://{host}{path.partition('://')[0]}"


def redacted(value: object) -> Any:
    """The value as plain JSON, without what looks like a secret, by a key's name or in a text."""
    match value:
        case None | str() | bool() | int() | float():
            return _text(value) if isinstance(value, str) else value
        case dict() | Mapping():
            return {str(key): _member(str(key), member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(member) for member in value]
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
    return _text(str(rfc3339(value) if isinstance(value, datetime) and value.tzinfo else value))


def is_flat(event: Mapping[str, object]) -> bool:
    """Whether only its texts could hold a secret: no member is one by its name, and none has members of its own."""
    return _are_innocent(tuple(event)) and _FLAT.issuperset(map(type, event.values()))


def is_suspicious(text: str) -> bool:
    """Whether there is a sign of a secret in it; without one, a text is shown as it is. In small letters."""
    for sign in _SUSPICIOUS:  # any() takes three times as long, and this runs for every attempt
        if sign in text:
            return True
    return "/" in text and "://" in text  # a single sign is found, or not, in a tenth of the time


def _text(text: str) -> str:
    """Most texts have no sign of a secret: a look at them is enough."""
    if text.isalnum():
        return text
    lower = text.lower()
    if lower.translate(_JOINED).isalnum() and "whs" not in lower:
        return text  # an id: nothing but a key of ours is a secret without a sign before it
    return _without_secrets(text) if is_suspicious(lower) else text


def _without_secrets(text: str) -> str:
    shown = _URL.sub(lambda url: shown_url(url[0]), text)
    for pattern, replacement in _IN_TEXT:
        shown = pattern.sub(replacement, shown)
    return shown


def _member(key: str, value: object) -> Any:
    if _is_secret(key) and not isinstance(value, bool | None):
        return _MASK
    if type(value) is str:
        return _text(value)
    return value if type(value) in _PLAIN else redacted(value)


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    lower = key.lower()
    return lower in _SECRET_KEYS or _SECRET_KEY.search(lower) is not None


@lru_cache(maxsize=1024)
def _are_innocent(keys: tuple[str, ...]) -> bool:
    return not any(map(_is_secret, keys))
