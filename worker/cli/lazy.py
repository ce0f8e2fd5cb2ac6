"""typer's commands, each loaded when it is wanted: whoever asks for help, or for health, doesn't load the database.

Help is plain text: to draw its boxes takes longer than all the rest of it.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from worker.cli.commands import COMMANDS, GROUPS, Listed
from worker.cli.words import COULD_NOT_RUN

_WIDEST = 120
_PLAIN = partial(typer.Typer, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class _Unloaded(TyperCommand):
    """A command's name and line, for the list that it stands in."""

    def __init__(self, name: str, listed: Listed) -> None:
        super().__init__(name, help=listed.line, short_help=listed.line)
        self._where = listed.where

    def loaded(self) -> TyperCommand:
        """The command itself."""
        module, _, function = self._where.partition(":")
        app = _PLAIN()
        with _kept():
            app.command(self.name)(getattr(import_module(f"worker.cli.{module}"), function))
        return typer.main.get_command(app)  # type: ignore[return-value]  # of one command without a callback


class _Group(TyperGroup):
    """Lists its commands unloaded, and loads the one that is called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Its words; without any it says what there is, not among errors, for whoever pages or searches it."""
        if not args:
            sys.stdout.write(f"{ctx.get_help()}\n")
            ctx.exit(COULD_NOT_RUN)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, by its first word, and its own words."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.loaded() if isinstance(command, _Unloaded) else command, rest


@contextmanager
def _kept() -> Iterator[None]:
    """What is loaded stays: to look through all of it for garbage, again and again, is a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def application(callback: Callable[..., None], about: str) -> TyperGroup:
    """All commands. `callback` has the options that stand before them."""
    groups = {name: _Group(name=name, commands=_commands(f"{name} "), **_told(line)) for name, line in GROUPS.items()}
    app = _PLAIN(cls=_Group, help=about, context_settings={"max_content_width": _WIDEST})
    app.callback()(callback)
    whole: TyperGroup = typer.main.get_group(app)
    whole.commands = {**_commands(""), **groups}
    return whole


def _told(line: str) -> Mapping[str, Any]:
    return {"help": line, "short_help": line, "rich_markup_mode": None}


def _commands(group: str) -> dict[str, Any]:
    """Those of a group, by the word after it."""
    named = [(listed.words.removeprefix(group), listed) for listed in COMMANDS if listed.words.startswith(group)]
    return {word: _Unloaded(word, listed) for word, listed in named if " " not in word}
