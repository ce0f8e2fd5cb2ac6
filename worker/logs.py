"""Logs: one line an event, JSON unless a person reads along; nothing secret passes (INTERFACE, section 5)."""

import json
import logging
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import nullcontext, suppress
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
_JOINED = str.maketrans("", "", "-_")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OURS = "tocsin"

_PLAIN = frozenset({type(None), bool, int, float})

Event = MutableMapping[str, Any]
Processor = Callable[..., Any]


def configure(stream: TextIO, *, json: bool, level: str = "info", cached: bool = True) -> None:
    """Send everything that is logged to `stream`; called again, to another one.

    `json`: an object a line, else text for a person. `level` is for our own events; libraries are heard from warning
    upwards. Instants are RFC 3339 in UTC. `cached`: loggers that were used once ask for nothing again, which is quick.
    """
    global _ours  # noqa: PLW0603  # loggers that were used once ask for nothing again; this they look at
    written = _written(json=json, colours=stream.isatty())
    lines = _ours = _Lines(stream, written)
    lines.setFormatter(_formatter(written))
    lines.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.split(".")[0] == _OURS)
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, _Lines)]:
        root.removeHandler(former)
    root.addHandler(lines)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    structlog.configure(
        processors=_CHAIN,
        logger_factory=_Logger,
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
            return {str(key): _member(str(key), member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(member) for member in value]
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
    return _text(str(rfc3339(value) if isinstance(value, datetime) and value.tzinfo else value))


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines, libraries' and ours; `configure` knows it by its class."""

    def __init__(self, stream: TextIO, written: Sequence[Processor]) -> None:
        super().__init__(stream)
        self.written = written

    def put(self, line: str) -> None:
        """One line of ours."""
        with self.lock or nullcontext(), suppress(Exception):  # as handleError has it
            self.stream.write(line + self.terminator)
            self.stream.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the standard library's name
        """A line that can't be written stops nothing, and isn't printed elsewhere: its arguments may be secret."""


class _Logger:
    """What `structlog.get_logger("poll")` writes to: straight to the stream.

    The standard library would make a record of each line, and a second to format it: three quarters of what it costs.
    Ours all stand below one name there, which has the level.
    """

    def __init__(self, *names: str) -> None:
        self.name = ".".join((_OURS, *names))
        self.shows = logging.getLogger(self.name).isEnabledFor

    def put(self, line: str) -> None:
        """The line, as it is."""
        if _ours:
            _ours.put(line)

    debug = info = warning = error = exception = critical = put


_ours: _Lines | None = None
_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()} | {"exception": logging.ERROR}


def _text(text: str) -> str:
    """Most texts have no sign of a secret: a look at them is enough, for this runs for every attempt."""
    if text.isalnum():
        return text
    lower = text.lower()
    if lower.translate(_JOINED).isalnum() and "whs" not in lower:
        return text  # an id: nothing but a key of ours is a secret without a sign before it
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
    if _is_secret(key) and not isinstance(value, bool | None):
        return _MASK
    if type(value) is str:
        return _text(value)
    return value if type(value) in _PLAIN else redacted(value)


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    lower = key.lower()
    return lower in _SECRET_KEYS or _SECRET_KEY.search(lower) is not None


def _redact(_: object, __: str, event: Event) -> Event:
    return {key: _member(key, value) for key, value in event.items()}


def _by_level(logger: _Logger, name: str, event: Event) -> Event:
    if not logger.shows(_LEVELS[name]):
        raise structlog.DropEvent
    return event


def _as_line(logger: object, name: str, event: Event) -> str:
    """As the latest `configure` has it."""
    shown: Any = event
    for step in _ours.written if _ours else ():
        shown = step(logger, name, shown)
    return str(shown)


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


def _written(*, json: bool, colours: bool) -> list[Processor]:
    """From an event to its line. Tracebacks are plain: rich ones show local variables."""
    console = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    rendered: list[Processor] = [_as_json] if json else [_for_a_terminal, console]
    return [structlog.processors.format_exc_info, _redact, *rendered]


def _formatter(written: Sequence[Processor]) -> logging.Formatter:
    """For the lines of libraries."""
    without = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=[without, *written])


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
_CHAIN: list[Processor] = [
    _by_level,
    *_SHARED,
    _as_line,
]
