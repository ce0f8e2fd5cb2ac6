"""`tocsin health`: whether this installation is at work. It is asked every few seconds, so it loads little."""

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.output import print_json, say
from worker.cli.words import FOUND_FAILURE
from worker.health import look, told
from worker.settings import places


def health(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, as /healthz has it.")] = False,
) -> None:
    """Database, broker, last looks for deliveries and for sources: a line each. Exit 1 if one is not well."""
    signs = look(places(None, os.environ), lambda: datetime.now(UTC))
    if as_json:
        print_json([told(signs)])
    else:
        for sign in signs:
            say(f"{sign.subject}: {'ok' if sign.good else 'FAILED'}; {sign.text}")
    if not all(sign.good for sign in signs):
        raise typer.Exit(FOUND_FAILURE)
