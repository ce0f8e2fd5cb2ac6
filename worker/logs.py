"""Logs: one line an event, JSON unless a person reads along; nothing secret passes (INTERFACE, section 5)."""

import json
import logging
import re
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

from worker.redaction import is_flat, is_suspicious, redacted

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OURS = "tocsin"

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
        wrapper_class=_Bound,
        cache_logger_on_first_use=cached,
    )


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines, libraries' and ours; `configure` knows it by its class."""

    def __init__(self, stream: TextIO, written: Sequence[Processor]) -> None:
        super().__init__(stream)
        self.written = written
        self._turn = self.lock or nullcontext()

    def put(self, line: str) -> None:
        """One line of ours."""
        try:
            with self._turn:
                self.stream.write(line + self.terminator)
                self.stream.flush()
        except Exception:  # noqa: BLE001, S110  # as handleError has it
            pass

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

    debug = info = warning = error = critical = put


def _telling(level: str) -> Callable[..., None]:
    def tell(bound: "_Bound", event: str, **values: object) -> None:
        told: Any = {**bound._context, **values, "event": event}  # noqa: SLF001  # made for those who derive from it
        try:
            for step in bound._processors:  # noqa: SLF001  # the same
                told = step(bound._logger, level, told)  # noqa: SLF001  # the same
        except structlog.DropEvent:
            return
        bound._logger.put(told)  # noqa: SLF001  # the same

    return tell


class _Bound(structlog.BoundLoggerBase):
    """What is asked to log. In structlog's own, each line goes through twice as many hands."""

    debug, info, warning, error, critical = map(_telling, ("debug", "info", "warning", "error", "critical"))

    def exception(self, event: str, **values: object) -> None:
        """An error, with what was raised."""
        self.error(event, **{"exc_info": True, **values})


_ours: _Lines | None = None
_TOLD = ("event", "level", "logger", "timestamp")
_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}


def _redact(_: object, __: str, event: Event) -> Event:
    shown: Event = redacted(event)
    return shown


def _stamped(logger: _Logger, name: str, event: Event) -> Event:
    """Unless nobody wants to know: how bad it is, who says so, and when."""
    if not logger.shows(_LEVELS[name]):
        raise structlog.DropEvent
    event["level"], event["logger"] = name, logger.name
    event["timestamp"] = datetime.now(UTC).isoformat()[:-6] + "Z"
    return event


def _as_line(logger: object, name: str, event: Event) -> str:
    """As the latest `configure` has it. What can't be written is no reason to end what is told of: it is left out."""
    try:
        return _through_steps(logger, name, event)
    except Exception:  # noqa: BLE001  # a value's own __str__ may raise anything
        told = {key: event[key] for key in _TOLD if isinstance(event.get(key), str)}
        return _through_steps(logger, name, {**told, "left_out": "values that can't be written"})


def _through_steps(logger: object, name: str, event: Event) -> str:
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
    """Without secrets. Most events have no sign of any, which one look at the whole line tells; not at what is escaped.

    It counts: there is a line for every attempt.
    """
    if is_flat(event):
        line = _json_of(event)
        if "\\" not in line and not is_suspicious(line.lower()):
            return line
    return _json_of(redacted(event))


def _json_of(event: Event) -> str:
    """In ASCII, which every stream takes; orjson, which is quick, escapes nothing and takes no huge integers."""
    try:
        line = orjson.dumps(event)
    except TypeError:
        return json.dumps(event)
    return line.decode() if line.isascii() else json.dumps(event)


def _written(*, json: bool, colours: bool) -> list[Processor]:
    """From an event to its line. Tracebacks are plain: rich ones show local variables."""
    console = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    rendered: list[Processor] = [_as_json] if json else [_redact, _for_a_terminal, console]
    return [structlog.processors.format_exc_info, *rendered]


def _formatter(written: Sequence[Processor]) -> logging.Formatter:
    """For the lines of libraries."""
    without = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_OF_LIBRARIES, processors=[without, *written])


_OF_LIBRARIES: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
_CHAIN: list[Processor] = [_stamped, _as_line]
