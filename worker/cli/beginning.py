"""`tocsin init` and `tocsin demo`: what needs nothing yet."""

import os
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.output import say
from worker.cli.words import log


def init() -> None:
    """Write a commented tocsin.toml, and a key for the secrets that are stored. Never overwrites."""
    from worker.settings import initialise  # noqa: PLC0415  # of no use to the demonstration

    asked = os.environ.get("TOCSIN_CONFIG")
    path = Path(asked) if asked else Path.cwd() / "tocsin.toml"
    for written in initialise(path.parent, path.name):
        say(f"wrote {written}")
    say("next: edit it, then `tocsin check`, then `tocsin run`")


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so long, with a summary.")] = None,
) -> None:
    """Show it at work: three sandbox providers, a receiver, the real pipeline, on a temporary database."""
    from worker.demo import demo as shown  # noqa: PLC0415  # the sandbox's servers are of use nowhere else

    log()
    raise typer.Exit(shown(seconds))
