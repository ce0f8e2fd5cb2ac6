"""The table of the commands, and what is loaded for the sake of a line."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.integration.cli.desk import Desk
from worker.cli.commands import COMMANDS, GROUPS, Listed

_ROOT = Path(__file__).parents[3]
_HEAVY = (
    "alembic", "celery", "cryptography", "jmespath", "kombu", "orjson", "prometheus_client", "psycopg", "pycurl",
    "requests", "rich", "sqlalchemy", "structlog", "worker.providers", "worker.settings",
)  # fmt: skip
_LOADED = f"""
import sys
from worker.cli.main import main
try:
    main()
except SystemExit as ended:
    print(ended.code, *[name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def loaded(*words: str) -> str:
    """The exit status, and what of the heavy was loaded."""
    command = [sys.executable, "-c", _LOADED, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT).stderr.strip()


@pytest.mark.parametrize("listed", COMMANDS, ids=lambda listed: listed.words)
def test_a_commands_line_is_its_docstrings_first_paragraph(listed: Listed) -> None:
    module, _, function = listed.where.partition(":")
    said = inspect.getdoc(getattr(import_module(f"worker.cli.{module}"), function))
    assert said is not None
    assert listed.line == " ".join(said.partition("\n\n")[0].split())


def test_a_groups_line_names_its_commands() -> None:
    told = {name: line.rstrip(".").partition(": ")[2].split(", ") for name, line in GROUPS.items()}
    words = [listed.words.split() for listed in COMMANDS]
    assert told == {name: [pair[1] for pair in words if len(pair) == 2 and pair[0] == name] for name in GROUPS}


def test_every_command_is_listed_with_its_line(desk: Desk) -> None:
    said = " ".join(desk.tocsin(*words, "--help").out for words in [(), *((name,) for name in GROUPS)])
    assert [listed.line for listed in COMMANDS if listed.line not in " ".join(said.split())] == []


@pytest.mark.parametrize("words", ["--help", "--version", "endpoints", "endpoints --help", "nonsense"])
def test_what_calls_no_command_loads_nothing(words: str) -> None:
    assert loaded(*words.split()).split()[-1] in {"0", "2"}


def test_a_word_that_is_nearly_a_command_is_answered_with_it(desk: Desk) -> None:
    assert "Did you mean 'status'?" in desk.tocsin("statsu").err
