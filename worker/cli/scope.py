"""What most commands share: the configuration that was asked for, an open house, and the meaning of their options."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker import wiring
from worker.cli import words
from worker.cli.output import complain
from worker.errors import ConfigurationError
from worker.settings import Settings
from worker.wiring import House

COULD_NOT_RUN, FOUND_FAILURE = words.COULD_NOT_RUN, words.FOUND_FAILURE
LARGEST = 2**63 - 1
"""The largest number that a database takes."""


def _instant(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f'"{text}" is no time; write 2026-01-31T12:00:00Z or 2026-01-31') from None


AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option(min=0, max=LARGEST, help="How many at most; 0: all.")]
Since = Annotated[datetime | None, typer.Option(parser=_instant, metavar="TIME", help="From then on (UTC).")]
Until = Annotated[datetime | None, typer.Option(parser=_instant, metavar="TIME", help="Before then (UTC).")]


def settings() -> Settings:
    """The configuration; its warnings are said once. Raises ConfigurationError."""
    words.log()
    read = wiring.read_settings()
    for warning in read.warnings:
        complain(warning)
    return read


@contextmanager
def house() -> Iterator[House]:
    """An open house for one command. Raises ConfigurationError."""
    opened = wiring.open_house(settings())
    try:
        yield opened
    finally:
        opened.close()


def must_be_known(kind: str, name: str, known: Mapping[str, object]) -> None:
    """Raises ConfigurationError where the configuration has no source, or endpoint, of that name."""
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise ConfigurationError([f'"{name}" is not {kind}; known: {names}'])


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends it as cleanly as Ctrl-C; so does SIGINT where a shell in the background has it ignored."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
