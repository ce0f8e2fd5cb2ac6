"""`tocsin backfill`: a source's past, in windows, with a progress bar; the same command again goes on with the rest."""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from worker import operations
from worker.backfill import Progress
from worker.cli.output import complain, print_json, printable, say
from worker.cli.scope import FOUND_FAILURE, AsJson, Since, Until, house, interruptible, must_be_known
from worker.errors import ProviderError
from worker.notification import rfc3339
from worker.past import Past

_A_LINE_EVERY_S = 10.0
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A source's name in tocsin.toml.")]
Deliver = Annotated[bool, typer.Option("--deliver", help="Owe all of it to the endpoints that want it.")]


def backfill(
    source: Source, since: Since, until: Until = None, deliver: Deliver = False, as_json: AsJson = False
) -> None:
    """Read what a source's provider has of the past, and store it; nothing is sent of it unless --deliver.

    What the source sends by itself is owed without it too: what is newer than its start_at and not stored yet. With
    start_at = "beginning", before the first poll, that is all.

    Interrupted, type the same again: it goes on with what is left. Polls go on meanwhile. Exit 1 if the provider fails.
    """
    wanted = _wanted(since, until, deliver)
    with house() as home:
        must_be_known("a source", source, home.settings.sources)
        latest: Progress | None = None
        stopped: str | None = None
        with _shown(source, as_json) as show, interruptible():
            try:
                with closing(operations.backfill(home, source, wanted, _wait, show.note)) as steps:
                    for latest in steps:
                        show.step(latest)
            except (ProviderError, KeyboardInterrupt) as ended:
                stopped = str(ended) or "interrupted"
    row = _row(source, wanted, latest)
    if as_json:
        print_json([row])
    elif stopped is None:
        say(_summary(row))
    if stopped is not None:
        done = f"; {row['windows_done']} of {row['windows']} windows are done" if latest else ""
        complain(f"{source}: {stopped}{done}. To go on, type it again: {shlex.join(['tocsin', *sys.argv[1:]])}")
        raise typer.Exit(FOUND_FAILURE)


def _wanted(since: datetime | None, until: datetime | None, deliver: bool) -> Past:
    if since is None or since >= (until or datetime.now(UTC)):
        raise typer.BadParameter("it must lie before --until, or in the past", param_hint="--since")
    return Past(since, until, deliver)


def _wait(span: timedelta) -> None:
    time.sleep(span.total_seconds())


class Lines:
    """Progress where nobody watches a terminal: a line every ten seconds."""

    def __init__(
        self, source: str, write: Callable[[str], None], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._source, self._write, self._seconds = source, write, seconds
        self._noted = ""
        self._at = self._began = seconds()
        self._first: int | None = None

    def step(self, progress: Progress) -> None:
        """It has come so far."""
        if self._first is None:
            self._first = progress.tally.fetched
            if progress.resumed:
                self._write(f"{self._source}: going on; {self.told(progress)}")
        now = self._seconds()
        if now - self._at >= _A_LINE_EVERY_S:
            self._at = now
            self._write(f"{self._source}: {self.told(progress)}")

    def note(self, text: str) -> None:
        """Why it waits; said once."""
        if text != self._noted:
            self._write(f"{self._source}: {text}")
        self._noted = text

    def told(self, progress: Progress) -> str:
        """How far it is, in words."""
        tally, extent = progress.tally, progress.extent
        rate = (tally.fetched - (self._first or 0)) / max(self._seconds() - self._began, 0.001)
        windows = f"{extent.windows_done} of {extent.windows} windows"
        share = "" if extent.share is None else f"{extent.share:.0%} of the time, "
        return f"{share}{windows}, {tally.fetched:,} rows, {tally.pages:,} requests, {rate:,.0f} rows/s"


class _Bar(Lines):
    """Progress on a terminal."""

    def __init__(self, source: str, bar: Bar) -> None:
        super().__init__(source, lambda line: bar.console.print(printable(line), markup=False))
        self._bar = bar
        self._task = bar.add_task(source, total=None, told="")

    def step(self, progress: Progress) -> None:
        """It has come so far."""
        self._first = progress.tally.fetched if self._first is None else self._first
        share = progress.extent.share
        self._bar.update(
            self._task, total=None if share is None else 1.0, completed=share or 0.0, told=self.told(progress)
        )


@contextmanager
def _shown(source: str, as_json: bool) -> Iterator[Lines]:
    """A bar on standard error if that is a terminal, else lines; standard output is left to JSON where it is wanted."""
    if not sys.stderr.isatty():
        yield Lines(source, complain if as_json else say)
        return
    told = TextColumn("{task.fields[told]}", markup=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), told)
    with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True, highlight=False), transient=True) as bar:
        yield _Bar(source, bar)


def _row(source: str, wanted: Past, latest: Progress | None) -> dict[str, Any]:
    asked = {"source": source, "since": rfc3339(wanted.since), "until": rfc3339(wanted.until)}
    if latest is None:
        return {**asked, "deliver": wanted.deliver, "complete": False}
    extent = latest.extent
    return {
        **asked,
        "until": rfc3339(latest.until),
        "deliver": wanted.deliver,
        "complete": extent.done,
        "windows": extent.windows,
        "windows_done": extent.windows_done,
        **asdict(latest.tally),
    }


def _summary(row: dict[str, Any]) -> str:
    counts = ", ".join(f"{row[name]:,} {name}" for name in ("new", "changed", "unchanged", "rejected"))
    owed = f"{row['owed']:,} deliveries owed" if row["deliver"] or row["owed"] else "stored only"
    return (
        f"{row['source']}: {row['since']} to {row['until']} is read: {row['windows']:,} windows, "
        f"{row['pages']:,} requests, {row['fetched']:,} rows: {counts}; {owed}"
    )
