"""`tocsin replay`: a range of messages owed to an endpoint again; the same command again goes on with the rest."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from worker import replay as spine
from worker import terms
from worker.cli.output import complain, print_json, say
from worker.cli.scope import FOUND_FAILURE, AsJson, Since, Until, house, interruptible, must_be_known
from worker.errors import ConfigurationError
from worker.notification import rfc3339
from worker.replay import Survey
from worker.store import endpoints
from worker.store.replays import Asked, Extent, Standing
from worker.wiring import House

_STATUS = "Only messages of which this became there; missing: never owed to it, as before it existed."
Status = Annotated[Standing | None, typer.Option("--status", help=_STATUS)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many.")]


def replay(  # noqa: PLR0913  # typer: an option is a parameter
    *,
    endpoint: Annotated[str, typer.Option(metavar="ENDPOINT", help="An endpoint's name in tocsin.toml.")],
    since: Since = None,
    until: Until = None,
    status: Status = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Owe an endpoint again every message of a range that it wants, whatever became of it there.

    TIMEs are when messages were made; without --until: up to now. What it wants is what its filters say now. Each is
    sent with the same webhook-id and the same bytes, with a whole retry schedule before it. What waits for a retry is
    due at once, and what is being sent just now stays alone. A receiver may see an older revision after a newer one.

    Interrupted, type the same again: it goes on, and owes nothing twice. A disabled endpoint must be enabled first.
    """
    with house() as home:
        must_be_known("an endpoint", endpoint, home.settings.endpoints)
        now = home.clock()
        if since is None or since >= min(until or now, now):
            raise typer.BadParameter("it must lie before --until, and in the past", param_hint="--since")
        interest = terms.interest(endpoint, home.settings.endpoints[endpoint])
        found = spine.survey(home.database, interest, Asked(since, until, status), now)
        if dry_run:
            latest, stopped = found.begun, None
        else:
            _must_be_enabled(home, endpoint)
            latest, stopped = _run(home, found, quiet=as_json)
    if as_json:
        print_json([_row(found, latest)])
    elif stopped is None:
        say(_would(found) if dry_run else _summary(found, latest))
    if stopped is not None:
        complain(f"{endpoint}: {stopped}. To go on, type it again: {shlex.join(['tocsin', *sys.argv[1:]])}")
        raise typer.Exit(FOUND_FAILURE)


def _must_be_enabled(home: House, endpoint: str) -> None:
    with home.database.reading() as session:
        (row,) = endpoints.known(session, [endpoint])
    if row.disabled_at:
        mend = f"run tocsin endpoints enable {endpoint} first"
        raise ConfigurationError([f"{endpoint} is disabled ({row.reason}): nothing would be sent to it; {mend}"])


def _run(home: House, found: Survey, *, quiet: bool) -> tuple[Extent | None, str | None]:
    """How far it came, and what stopped it."""
    if not quiet:
        say(_first(found))
    latest: Extent | None = None
    with _shown(found) as show, interruptible():
        try:
            for latest in spine.replay(home.database, found, home.clock):
                show(latest)
        except KeyboardInterrupt:
            return latest, f"interrupted; {latest.owed if latest else 0:,} of {found.total:,} are owed"
    return latest, None


@contextmanager
def _shown(found: Survey) -> Iterator[Callable[[Extent], None]]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    screen = Console(stderr=True, highlight=False)
    with Progress(*columns, TimeElapsedColumn(), console=screen, transient=True) as bar:
        task = bar.add_task(found.interest.endpoint, total=found.total)
        yield lambda extent: bar.update(task, completed=found.total if extent.done else extent.owed)


def _range(found: Survey) -> str:
    until = found.begun.until if found.begun else min(found.asked.until or found.at, found.at)
    return f"made from {rfc3339(found.asked.since)} until {rfc3339(until)}"


def _of(found: Survey) -> str:
    """What it is about, by what became of it."""
    became = ", ".join(f"{found.counts[standing]:,} {standing}" for standing in Standing if found.counts[standing])
    return f" ({became})" if became else ""


def _first(found: Survey) -> str:
    name = found.interest.endpoint
    if found.begun:
        left = f"{found.begun.owed:,} of {found.total:,} messages are owed already"
        return f"{name}: going on with what was begun at {rfc3339(found.begun.begun_at)}; {left}"
    return f"{name}: {found.total:,} messages {_range(found)} are to be owed again{_of(found)}"


def _would(found: Survey) -> str:
    if found.begun:
        return f"{_first(found)}; nothing was done"
    return f"{found.interest.endpoint}: {found.total:,} messages {_range(found)} would be owed again{_of(found)}"


def _summary(found: Survey, latest: Extent | None) -> str:
    owed = latest.owed if latest else 0
    rest = found.total - owed
    stayed = f"; {rest:,} were being sent, or had changed meanwhile" if rest > 0 else ""
    return f"{found.interest.endpoint}: {owed:,} deliveries are owed again, and due now{stayed}{_beyond(found)}"


def _beyond(found: Survey) -> str:
    """What was gone on with reaches up to when it was begun first, and not up to now."""
    if found.begun is None or found.asked.until is not None:
        return ""
    until = rfc3339(found.begun.until)
    return f". That is up to {until}, when it was begun first; for the rest type it again with --since {until}"


def _row(found: Survey, latest: Extent | None) -> dict[str, Any]:
    extent = latest or found.begun
    until = extent.until if extent else min(found.asked.until or found.at, found.at)
    return {
        "endpoint": found.interest.endpoint,
        "since": rfc3339(found.asked.since),
        "until": rfc3339(until),
        "status": found.asked.standing,
        "total": found.total,
        "by_status": {standing.value: found.counts[standing] for standing in Standing if found.counts[standing]},
        "owed": extent.owed if extent else 0,
        "complete": extent.done if extent else False,
        "resumed": found.begun is not None,
    }
