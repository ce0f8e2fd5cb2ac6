"""`tocsin endpoints`."""

from datetime import timedelta
from typing import Annotated

import typer

from worker import operations
from worker.cli.output import print_rows, say
from worker.cli.scope import FOUND_FAILURE, AsJson, house, must_be_known
from worker.delivery import DeliveryStatus
from worker.store import endpoints

commands = typer.Typer(help="Endpoints: list, secret, test, enable, disable.", no_args_is_help=True)
COLUMNS = ("name", "url", "status", "pending", "oldest_pending_at", "failing_since", "delivered", "exhausted", "reason")
Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="An endpoint's name in tocsin.toml.")]


@commands.command("list")
def list_endpoints(as_json: AsJson = False) -> None:
    """Every configured endpoint and how it fares."""
    with house() as home:
        print_rows(operations.endpoint_rows(home), COLUMNS, as_json=as_json)


@commands.command()
def secret(endpoint: Endpoint) -> None:
    """Print the secret that its receiver verifies with."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        for text in home.signing_secrets(endpoint):
            say(text)


@commands.command()
def test(endpoint: Endpoint) -> None:
    """Send one signed tocsin.test message now, and print the answer. Exit 1 if it was not taken."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        attempted = operations.test_endpoint(home, endpoint)
    outcome = attempted.outcome
    answer = outcome.wire.value if outcome.status_code is None else f"{outcome.wire.value} {outcome.status_code}"
    say(f"{attempted.due.message_id}: {answer} after {outcome.duration // timedelta(milliseconds=1)} ms")
    if outcome.response_excerpt:
        say(outcome.response_excerpt)
    if attempted.verdict.status is not DeliveryStatus.DELIVERED:
        raise typer.Exit(FOUND_FAILURE)


@commands.command()
def enable(endpoint: Endpoint) -> None:
    """Send to it again, what is pending at once."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        with home.database.transaction() as session:
            count = endpoints.enable(session, endpoint, home.clock())
    say(f"{endpoint} is enabled; {count} deliveries are due now")


@commands.command()
def disable(endpoint: Endpoint) -> None:
    """Send nothing to it; what is pending waits, what is new is stored as skipped."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        with home.database.transaction() as session:
            endpoints.disable(session, endpoint, "disabled by hand", home.clock())
    say(f"{endpoint} is disabled")
