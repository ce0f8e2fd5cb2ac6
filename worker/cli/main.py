"""The command `tocsin`: its options, and what its errors mean."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from worker import __version__
from worker.cli.lazy import application
from worker.cli.output import ESCAPED, complain, say
from worker.cli.words import COULD_NOT_RUN, FOUND_FAILURE, Config, config_first, use
from worker.errors import ConfigurationError, TocsinError

_ABOUT = "Notification APIs that can only be polled, as a dependable stream of signed webhooks."


def main() -> None:
    """Run one command. Exit: 0 done, 1 it ran and found failure, 2 it could not run."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPED)  # a terminal without our letters is no reason to end
    try:
        application(_everywhere, _ABOUT)(config_first(sys.argv[1:]), prog_name="tocsin")
    except ConfigurationError as error:
        for problem in error.problems:
            complain(problem)
        sys.exit(COULD_NOT_RUN)
    except TocsinError as error:
        complain(str(error))
        sys.exit(FOUND_FAILURE)
    except Exception as error:
        from worker.store import session  # noqa: PLC0415  # whatever may be in trouble with it has loaded it

        if not isinstance(error, session.TROUBLE):
            raise
        complain(f"database: it can't be used: {session.reason(error)}")
        sys.exit(COULD_NOT_RUN)


def _version(wanted: bool) -> None:  # typer calls it so
    if wanted:
        say(f"tocsin {__version__}")
        raise typer.Exit


def _everywhere(
    config: Config = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    use(config)
