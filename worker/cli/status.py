"""`tocsin status`."""

import typer

from worker import operations
from worker.cli import endpoints, sources
from worker.cli.output import print_json, print_rows, say
from worker.cli.scope import FOUND_FAILURE, AsJson, house
from worker.report import needs_a_person

_SEEN = ("seen_median_s", "seen_p95_s")
_SENT = ("first_attempt_median_s", "first_attempt_p95_s", "delivered_median_s", "delivered_p95_s")


def status(as_json: AsJson = False) -> None:
    """Sources and endpoints, and how they fare. Exit 1 if anything needs a person.

    Seconds: from occurring to being seen, over a day; from stored to the first attempt and to delivered, over an hour.
    """
    with house() as home:
        source_rows, endpoint_rows = operations.status(home)
    if as_json:
        print_json([{"sources": source_rows, "endpoints": endpoint_rows}])
    else:
        print_rows(source_rows, (*sources.COLUMNS, *_SEEN), as_json=False)
        say("")
        print_rows(endpoint_rows, (*endpoints.COLUMNS, *_SENT), as_json=False)
    if needs_a_person(source_rows + endpoint_rows):
        raise typer.Exit(FOUND_FAILURE)
