"""`tocsin endpoints`."""

from datetime import timedelta
from typing import Annotated

import typer

from worker import operations
from worker.cli.output import print_rows, say
from worker.cli.scope import FOUND_FAILURE, AsJson, house, must_be_known
from worker.delivery import DeliveryStatus
from worker.notification import rfc3339
from worker.settings import parse_duration, shown_duration
from worker.store import endpoints
from worker.webhooks import signature

COLUMNS = ("name", "url", "status", "pending", "oldest_pending_at", "failing_since", "delivered", "exhausted", "reason")
_LONGEST_OVERLAP = timedelta(days=365)
Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="An endpoint's name in tocsin.toml.")]


def _overlap(text: str) -> timedelta:
    try:
        overlap = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--overlap") from None
    if overlap > _LONGEST_OVERLAP:
        raise typer.BadParameter(f'"{text}" is more than {shown_duration(_LONGEST_OVERLAP)}', param_hint="--overlap")
    return overlap


def list_endpoints(as_json: AsJson = False) -> None:
    """Every configured endpoint and how it fares."""
    with house() as home:
        print_rows(operations.endpoint_rows(home), COLUMNS, as_json=as_json)


def secret(endpoint: Endpoint) -> None:
    """Print what its receiver verifies with, all that is in force, the newest first: secrets, or public keys."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        for text in home.signing.secrets(endpoint):
            say(signature.for_receiver(text))


def rotate(
    endpoint: Endpoint,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the old secret signs, too; 0s: no more.")
    ] = ("24h"),
) -> None:
    """Make a new secret. Messages are signed with both until the overlap has passed; running processes follow."""
    lasts = _overlap(overlap)
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        until = home.signing.rotate(endpoint, lasts)
    old = f"the old one signs too until {rfc3339(until)}" if lasts else "the old one signs nothing more"
    say(f"{endpoint} has a new secret; {old}")
    say(f"give its receiver what `tocsin endpoints secret {endpoint}` prints, the newest first")


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


def enable(endpoint: Endpoint) -> None:
    """Send to it again, what is pending at once."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        with home.database.transaction() as session:
            count = endpoints.enable(session, endpoint, home.clock())
    say(f"{endpoint} is enabled; {count} deliveries are due now")


def disable(endpoint: Endpoint) -> None:
    """Send nothing to it; what is pending waits, what is new is stored as skipped."""
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        changed = operations.disable_endpoint(home, endpoint)
    say(f"{endpoint} is disabled" if changed else f"{endpoint} was disabled already")
