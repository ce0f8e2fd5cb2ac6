"""`tocsin notifications`, `tocsin deliveries` and `tocsin redeliver`: any notification's fate, and another try."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from worker import clocks, operations, silence
from worker.cli.output import complain, print_json, print_rows, say
from worker.cli.output import shown as cell
from worker.cli.scope import FOUND_FAILURE, LARGEST, AsJson, Limit, Since, Until, house, must_be_known
from worker.delivery import DeliveryStatus
from worker.notification import Status
from worker.store import outbox, reach, shown
from worker.store.shown import Filter

_NOTIFICATIONS = ("id", "source", "external_id", "revision", "kind", "status", "occurred_at", "first_seen_at",
                  "delivered_at", "deliveries")  # fmt: skip
_REVISIONS = ("revision", "type", "status", "made_at", "message_id")
_TOLD = ("revision", "endpoint", "status", "explanation")
_DELIVERIES = ("id", "source", "external_id", "revision", "type", "endpoint", "status", "reason", "attempts",
               "next_attempt_at", "delivered_at", "last_outcome", "last_status_code")  # fmt: skip
_ATTEMPTS = ("delivery_id", "number", "trigger", "started_at", "duration_ms", "outcome", "status_code",
             "response_excerpt")  # fmt: skip
_CLOCKS = ("endpoint", "revision", "occurred_at", "stored_at", "occurred_to_stored_s", "first_attempt_at",
           "stored_to_first_attempt_s", "delivered_at", "stored_to_delivered_s")  # fmt: skip


def list_notifications(  # noqa: PLR0913  # typer: an option is a parameter
    *,
    source: Annotated[str | None, typer.Option(help="Of this source.")] = None,
    status: Annotated[Status | None, typer.Option(help="In this status.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of this kind; shell wildcards.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Notifications, those seen last first. TIMEs are when they were first seen."""
    wanted = Filter(source=source, status=status, kind=kind, since=since, until=until, limit=limit)
    with house() as home:
        if source is not None:
            must_be_known("a source", source, home.settings.sources)
        with home.database.reading() as session:
            rows = shown.notifications(session, wanted)
    print_rows(rows, _NOTIFICATIONS, as_json=as_json)


def show(identity: Annotated[UUID, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """One notification: its revisions, why each endpoint has each of them or hasn't, deliveries and their attempts."""
    with house() as home, home.database.reading() as session:
        row = shown.notification(session, identity)
        told = silence.explain(reach.of_notification(session, identity), home.interests, home.clock())
    if row is None:
        complain(f"there is no notification {identity}; what could not be stored is in tocsin rejected list")
        raise typer.Exit(FOUND_FAILURE)
    row["told"] = [asdict(each) for each in told]
    row["clocks"] = clocks.of_notification(row)
    if as_json:
        print_json([row])
    else:
        _print_fate(row)


def list_deliveries(  # noqa: PLR0913  # typer: an option is a parameter
    *,
    endpoint: Annotated[str | None, typer.Option(help="To this endpoint.")] = None,
    status: Annotated[DeliveryStatus | None, typer.Option(help="In this status.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Deliveries, the newest first. TIMEs are when the message was made."""
    wanted = Filter(endpoint=endpoint, status=status, since=since, until=until, limit=limit)
    with house() as home:
        if endpoint is not None:
            must_be_known("an endpoint", endpoint, home.settings.endpoints)
        with home.database.reading() as session:
            rows = [operations.explained(home, row) for row in shown.deliveries(session, wanted)]
    print_rows(rows, _DELIVERIES, as_json=as_json)


def redeliver(deliveries: Annotated[list[int], typer.Argument(metavar="DELIVERY", min=1, max=LARGEST)]) -> None:
    """Try these deliveries again now; their numbers are those of `tocsin deliveries list`."""
    with house() as home, home.database.transaction() as session:
        owed = outbox.redeliver(session, deliveries, home.clock())
    say(f"{len(owed)} owed again")
    missing = sorted(set(deliveries) - set(owed))
    if missing:
        complain(f"there is no delivery {', '.join(map(str, missing))}")
        raise typer.Exit(FOUND_FAILURE)


def _print_fate(row: dict[str, Any]) -> None:
    for name, value in row.items():
        if name not in {"revisions", "delivery_rows", "deliveries", "raw", "told", "clocks"}:
            say(f"{name + ':':24}{cell(value)}")
    say("")
    print_rows(row["revisions"], _REVISIONS, as_json=False)
    if row["told"]:
        say("")
        print_rows(row["told"], _TOLD, as_json=False)
    say("")
    print_rows(row["delivery_rows"], _DELIVERIES, as_json=False)
    attempts = [attempt for delivery in row["delivery_rows"] for attempt in delivery["attempt_rows"]]
    if attempts:
        say("")
        print_rows(attempts, _ATTEMPTS, as_json=False)
    if row["clocks"]:
        say("")
        print_rows(row["clocks"], _CLOCKS, as_json=False)
