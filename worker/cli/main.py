"""The command `tocsin`, and the commands that concern the whole: init, check, migrate, run, status, prune, demo."""

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from worker import __version__, logs, operations, wiring
from worker.cli import (
    backfill,
    endpoints,
    health,
    inspection,
    keys,
    metrics,
    notifications,
    processes,
    rejected,
    replay,
    sources,
)
from worker.cli.output import ESCAPED, complain, print_json, print_rows, say
from worker.cli.scope import COULD_NOT_RUN, FOUND_FAILURE, AsJson, house, settings
from worker.cli.words import Config, config_first, use
from worker.errors import ConfigurationError, TocsinError
from worker.report import needs_a_person
from worker.settings import template
from worker.store import schema, session
from worker.store.session import Database

application = typer.Typer(
    help="Notification APIs that can only be polled, as a dependable stream of signed webhooks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
application.add_typer(sources.commands, name="sources")
application.add_typer(endpoints.commands, name="endpoints")
application.add_typer(rejected.commands, name="rejected")
application.add_typer(notifications.commands, name="notifications")
application.add_typer(notifications.delivery_commands, name="deliveries")
application.command("redeliver")(notifications.redeliver)
application.command("worker")(processes.worker)
application.command("beat")(processes.beat)
application.command("metrics")(metrics.metrics)
application.command("health")(health.health)
application.command("poll")(sources.poll)
application.command("backfill")(backfill.backfill)
application.command("replay")(replay.replay)
application.command("check")(inspection.check)
application.command("rotate-key")(keys.rotate)

_SEEN = ("seen_median_s", "seen_p95_s")
_SENT = ("first_attempt_median_s", "first_attempt_p95_s", "delivered_median_s", "delivered_p95_s")
_LEVELS = ("debug", "info", "warning", "error", "critical")


def main() -> None:
    """Run one command. Exit: 0 done, 1 it ran and found failure, 2 it could not run."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPED)  # a terminal without our letters is no reason to end
    try:
        application(config_first(sys.argv[1:]), prog_name="tocsin")
    except ConfigurationError as error:
        for problem in error.problems:
            complain(problem)
        sys.exit(COULD_NOT_RUN)
    except TocsinError as error:
        complain(str(error))
        sys.exit(FOUND_FAILURE)
    except session.TROUBLE as error:
        complain(f"database: it can't be used: {session.reason(error)}")
        sys.exit(COULD_NOT_RUN)


def _version(wanted: bool) -> None:  # typer calls it so
    if wanted:
        say(f"tocsin {__version__}")
        raise typer.Exit


@application.callback()
def _everywhere(
    config: Config = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    use(config)
    level = os.environ.get("TOCSIN_LOG_LEVEL") or "info"
    if level.lower() not in _LEVELS:
        raise ConfigurationError([f"TOCSIN_LOG_LEVEL: write {', '.join(_LEVELS)}"])
    logs.configure(sys.stderr, json=not sys.stderr.isatty(), level=level)


@application.command()
def init() -> None:
    """Write a commented tocsin.toml, and a key for the secrets that are stored. Never overwrites."""
    asked = os.environ.get("TOCSIN_CONFIG")
    path = Path(asked) if asked else Path.cwd() / "tocsin.toml"
    for written in template.initialise(path.parent, path.name):
        say(f"wrote {written}")
    say("next: edit it, then `tocsin check`, then `tocsin run`")


@application.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    database = Database(settings().database)
    try:
        changed = schema.migrate(database, complain)
        now = schema.current(database)
    finally:
        database.close()
    say(f"the schema is now {now}" if changed else f"the schema was {now} already")


@application.command()
def run() -> None:
    """Poll and deliver, everything in one process, until SIGTERM or SIGINT."""
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: sys.exit(0))  # nothing has begun yet; the daemon has its own way to end
    wiring.open_house(settings(), to_sign=True).close()  # says what is wrong before anything starts
    from worker import embedded  # noqa: PLC0415  # Celery takes a while to load, and only this command needs it

    raise typer.Exit(embedded.run())


@application.command()
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


@application.command()
def prune() -> None:
    """Apply the configured retention: delete what is closed, delivered and old."""
    with house() as home:
        pruned = operations.prune(home)
    say(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in pruned.counts.items()) + " pruned")


@application.command()
def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so long, with a summary.")] = None,
) -> None:
    """Show it at work: three sandbox providers, a receiver, the real pipeline, on a temporary database."""
    from worker import demo as demonstration  # noqa: PLC0415  # the sandbox's servers are of use nowhere else

    raise typer.Exit(demonstration.demo(seconds))
