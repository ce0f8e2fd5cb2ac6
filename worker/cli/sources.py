"""`tocsin sources` and `tocsin poll`."""

from dataclasses import asdict
from typing import Annotated

import typer

from worker import operations
from worker.cli.output import complain, print_json, print_rows, say
from worker.cli.scope import FOUND_FAILURE, AsJson, house, must_be_known
from worker.errors import ProviderError
from worker.notification import rfc3339
from worker.store import sources

COLUMNS = (
    "name", "provider", "status", "last_poll_at", "covered_until", "lag_s", "failures", "notifications", "open",
    "rejected", "reason",
)  # fmt: skip
_ONLY_FOR_THE_SPINE = ("not_before", "complete")
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A source's name in tocsin.toml.")]


def list_sources(as_json: AsJson = False) -> None:
    """Every configured source and how it fares."""
    with house() as home:
        print_rows(operations.source_rows(home), COLUMNS, as_json=as_json)


def pause(source: Source) -> None:
    """Poll it no more until it is resumed."""
    with house() as home:
        must_be_known("a source", source, home.settings.sources)
        with home.database.transaction() as session:
            sources.pause(session, source, "paused by hand", home.clock())
    say(f"{source} is paused")


def resume(source: Source) -> None:
    """Poll it again, at once."""
    with house() as home:
        must_be_known("a source", source, home.settings.sources)
        with home.database.transaction() as session:
            sources.resume(session, source, home.clock())
    say(f"{source} is due now")


def poll(source: Source, as_json: AsJson = False) -> None:
    """Poll one source now, in this process. Exit 1 if the provider refuses, or another process polls it."""
    with house() as home:
        must_be_known("a source", source, home.settings.sources)
        try:
            summary = home.poll(source, only_due=False)
        except ProviderError as error:
            complain(f"{source}: {error}")
            raise typer.Exit(FOUND_FAILURE) from None
    if summary is None:
        complain(f"{source}: another process is polling it")
        raise typer.Exit(FOUND_FAILURE)
    row = {name: value for name, value in asdict(summary).items() if name not in _ONLY_FOR_THE_SPINE}
    row["covered_until"] = rfc3339(summary.covered_until)
    if as_json:
        print_json([row])
    else:
        print_rows([row], tuple(row), as_json=False)
