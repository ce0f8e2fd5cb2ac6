"""`tocsin rejected`: items that could not be normalised, and another try at them."""

from typing import Annotated

import typer

from worker import operations
from worker.cli.output import complain, print_rows, say
from worker.cli.scope import FOUND_FAILURE, AsJson, Limit, house, must_be_known
from worker.errors import LeaseLost
from worker.store import shown
from worker.store.shown import Filter
from worker.wiring import House

_COLUMNS = ("id", "source", "reason", "first_seen_at", "last_seen_at", "count")
Source = Annotated[str | None, typer.Option(help="Of this source.")]


def list_rejected(source: Source = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Rejected items, the newest first; with --json as the provider sent them."""
    with house() as home:
        if source is not None:
            must_be_known("a source", source, home.settings.sources)
        with home.database.reading() as session:
            rows = shown.rejected(session, Filter(source=source, limit=limit))
    print_rows(rows, _COLUMNS, as_json=as_json)


def retry(source: Source = None) -> None:
    """Run them through again, as after an update of Tocsin. Exit 1 if any is still rejected."""
    with house() as home:
        if source is not None:
            must_be_known("a source", source, home.settings.sources)
        names = [source] if source else list(home.settings.sources)
        counts = [_retried(home, name) for name in names]
    done = [count for count in counts if count]
    stored, left = (sum(count[which] for count in done) for which in (0, 1))
    say(f"{stored} stored, {left} still rejected")
    if left or len(done) < len(counts):
        raise typer.Exit(FOUND_FAILURE)


def _retried(home: House, name: str) -> tuple[int, int] | None:
    """One source's items; one that is being polled holds up no other."""
    try:
        return operations.retry_rejected(home, name)
    except LeaseLost:
        complain(f"{name}: another process is polling it")
        return None
