"""The configuration's file: which one, and what it says before anything is checked."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError
from worker.settings.wording import one_line

DEFAULT_NAME = "tocsin.toml"
_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|(end of document))\)$")


def chosen(path: Path | None, environ: Mapping[str, str]) -> Path:
    """The file that was asked for, else TOCSIN_CONFIG's, else tocsin.toml in the working directory."""
    return (path or Path(environ.get("TOCSIN_CONFIG") or DEFAULT_NAME)).absolute()


def document_of(path: Path) -> dict[str, Any]:
    """What the file says. Raises ConfigurationError with one line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        reason = f"{path}: there is no such file; `tocsin init` writes one"
    except OSError as error:
        reason = f"{path}: cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        reason = f"{path}: is not text in UTF-8 (byte {error.start})"
    except RecursionError:
        reason = f"{path}: is nested too deeply"
    except ValueError as error:
        reason = _syntax(path, str(error))
    raise ConfigurationError([one_line(reason)])


def _syntax(path: Path, message: str) -> str:
    where = _WHERE.search(message)
    if where is None:
        return f"{path}: is not TOML: {message}"
    place = "at its end" if where[3] else f"line {where[1]}, column {where[2]}"
    return f"{path}, {place}: {message[: where.start()]}"
