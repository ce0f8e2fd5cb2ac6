"""What the words of a command line mean before any command is loaded."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from worker.errors import ConfigurationError

COULD_NOT_RUN, FOUND_FAILURE = 2, 1
_LEVELS = ("debug", "info", "warning", "error", "critical")

Config = Annotated[
    Path | None, typer.Option(help="The configuration; else TOCSIN_CONFIG's, else ./tocsin.toml.", metavar="FILE")
]


def use(config: Path | None) -> None:
    """Read that configuration, in this process and in those that it starts."""
    if config is not None:
        os.environ["TOCSIN_CONFIG"] = str(config.absolute())


def log() -> None:
    """From now on, what happens is written to standard error. Raises ConfigurationError for a level that is none."""
    from worker import logs  # noqa: PLC0415  # to ask for help, or for health, logs nothing

    level = os.environ.get("TOCSIN_LOG_LEVEL") or "info"
    if level.lower() not in _LEVELS:
        raise ConfigurationError([f"TOCSIN_LOG_LEVEL: write {', '.join(_LEVELS)}"])
    logs.configure(sys.stderr, json=not sys.stderr.isatty(), level=level)


def config_first(words: list[str]) -> list[str]:
    """The command line with `--config FILE` at its beginning, wherever it stood: people write it at either end."""
    ours = words[: words.index("--")] if "--" in words else words
    for at, word in enumerate(ours):
        if word.startswith("--config="):
            return [word, *words[:at], *words[at + 1 :]]
        if word == "--config" and at + 1 < len(ours):
            return [word, words[at + 1], *words[:at], *words[at + 2 :]]
    return words
