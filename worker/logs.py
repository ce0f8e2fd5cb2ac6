"""Logs: one line an event, JSON unless a person reads along; nothing secret passes (INTERFACE, section 5)."""

import json
import logging
import re
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog

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
_SUSPICIOUS = ("://", "?", "apikey", "bearer", "basic", "whs", "password", "secret", "token", "api_key")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OURS = "tocsin"

Event = MutableMapping[str, Any]


def configure(stream: TextIO, *, json: bool, level: str = "info", cached: bool = True) -> None:
    """Send everything that is logged to `stream`; called again, to another one.

    `json`: an object a line, else text for a person. `level` is for our own events; libraries are heard from warning
    upwards. Instants are RFC 3339 in UTC. `cached`: loggers that were used once ask for nothing again, which is quick.
    """
    lines = _Lines(stream)
    lines.setFormatter(_formatter(json=json, colours=stream.isatty()))
    lines.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.split(".")[0] == _OURS)
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, _Lines)]:
        root.removeHandler(former)
    root.addHandler(lines)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    structlog.configure(
        processors=_CHAIN,
        logger_factory=_logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=cached,
    )


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
            return {str(key): _member(str(key).lower(), member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(member) for member in value]
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
    return _text(str(rfc3339(value) if isinstance(value, datetime) and value.tzinfo else value))


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; `configure` knows it by its class."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the standard library's name
        """A line that can't be written stops nothing, and isn't printed elsewhere: its arguments may be secret."""


def _logger(*names: str) -> logging.Logger:
    """What `structlog.get_logger("poll")` writes to: ours all stand below one name, which has the level."""
    return logging.getLogger(".".join((_OURS, *names)))


def _text(text: str) -> str:
    """Most texts have no sign of a secret: a look at them is enough, for this runs for every attempt."""
    lower = text.lower()
    for sign in _SUSPICIOUS:
        if sign in lower:
            return _without_secrets(text)
    return text


def _without_secrets(text: str) -> str:
    shown = _URL.sub(lambda url: shown_url(url[0]), text)
    for pattern, replacement in _IN_TEXT:
        shown = pattern.sub(replacement, shown)
    return shown


def _member(key: str, value: object) -> Any:
    return _MASK if _is_secret(key) and not isinstance(value, bool | None) else redacted(value)


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return key in _SECRET_KEYS or _SECRET_KEY.search(key) is not None


def _redact(_: object, __: str, event: Event) -> Event:
    shown: Event = redacted(event)
    return shown


def _for_a_terminal(_: object, __: str, event: Event) -> Event:
    """A provider's text can't forge a line, nor speak to the terminal; a traceback keeps its lines."""
    shown: Event = {}
    for key, value in event.items():
        lines = str(value).split("\n") if key == "exception" else [value]
        escaped = [_CONTROLS.sub(_escaped, line) if isinstance(line, str) else line for line in lines]
        shown[key] = "\n".join(escaped) if key == "exception" else escaped[0]
    return shown


def _escaped(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()


def _as_json(_: object, __: str, event: Event) -> str:
    """In ASCII, which every stream takes; orjson, which is quick, escapes nothing and takes no huge integers."""
    try:
        line = orjson.dumps(event)
    except TypeError:
        return json.dumps(event)
    return line.decode() if line.isascii() else json.dumps(event)


def _formatter(*, json: bool, colours: bool) -> logging.Formatter:
    """Tracebacks are plain: rich ones show local variables."""
    console = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    written: list[Callable[..., Any]] = [_as_json] if json else [_for_a_terminal, console]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            *written,
        ],
    )


_SHARED: list[Callable[..., Any]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
_CHAIN: list[Callable[..., Any]] = [
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
