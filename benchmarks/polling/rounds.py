"""Rounds of both sides in turn, each with a database of its own; what both have stored is to be the same."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy import text

from benchmarks.polling.costs import Cost
from benchmarks.polling.feed import feeding
from benchmarks.polling.house import DurablePostgres, place, prepared
from benchmarks.row import Row
from worker.store.session import Database

PAGE = 500
SIDES = ("tocsin", "floor")
MOST = 1.6
_ROOT = Path(__file__).parents[2]
_STORED = (
    """
    SELECT external_id, revision, content_hash, message_id, kind, title, status, provider_status, subject_id, message,
           occurred_at, updated_at, events, first_seen_at, followed, tracked_since
    FROM notification ORDER BY external_id
    """,
    "SELECT id, type, notification_id, revision, kind, status, body, created_at FROM message ORDER BY id",
    """
    SELECT message_id, endpoint_id, notification_id, revision, status, reason, trigger, attempts, next_attempt_at,
           created_at
    FROM delivery ORDER BY message_id, endpoint_id
    """,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """How much is measured, and what: each phase on what the one before it has left.

    `warm` reads a page of other rows, so that what happens once is not measured with few rows. `unchanged*8` reads them
    eight times: a server's processor time is told in hundredths of a second, and there is little of it in one.
    """

    rows: int = 50_000
    rounds: int = 3
    phases: tuple[str, ...] = ("new",)

    def read(self, phase: str) -> int:
        """How many rows the phase reads."""
        times = next(word.partition("*")[2] for word in self.phases if _named(word) == phase)
        return self.rows * int(times or 1)


def _named(word: str) -> str:
    return word.partition("*")[0]


class Differs(Exception):
    """Both sides are to do the same work."""


def measured(asked: Asked) -> Mapping[str, Mapping[str, Sequence[Cost]]]:
    """Database → side and phase, as `tocsin new` → the costs of the middle round by processor seconds.

    The rounds of both sides are taken in turn.
    """
    with feeding(asked.rows, PAGE) as address, DurablePostgres() as server:
        return {
            "PostgreSQL": _on(server, address, asked),
            "SQLite": _on(None, address, asked),
        }


def rows(name: str, asked: Asked, cases: Iterable[str]) -> list[Row]:
    """A row for each database and phase of these."""
    found = measured(asked)
    return [_row(name, database, phase, found[database], asked) for phase in cases for database in found]


def _row(name: str, database: str, phase: str, costs: Mapping[str, Sequence[Cost]], asked: Asked) -> Row:
    ours, floors = (costs[f"{side} {phase}"] for side in SIDES)
    read = asked.read(phase)
    per = 1000 / read
    figure, floor = (median(each.processor for each in of) for of in (ours, floors))
    ratio = median(our.processor / low.processor for our, low in zip(ours, floors, strict=True))
    return Row(
        name=name,
        case=f"{database}, {phase}",
        figure=1000 * figure * per,
        floor=1000 * floor * per,
        unit="processor ms per thousand",
        ratio=ratio,
        bar=f"at most {MOST}×",
        holds=ratio <= MOST,
        aside=f"{_aside('Tocsin', ours, read)}; {_aside('floor', floors, read)}",
    )


def _aside(who: str, costs: Sequence[Cost], read: int) -> str:
    wall, client, server, peak, _ = (median(column) for column in zip(*map(astuple, costs), strict=True))
    shares = f"{client:.2f} s client" + (f" + {server:.2f} s backend" if server else "")
    return f"{who} {read / wall:,.0f}/s, {wall:.2f} s, {shares}, {peak:.0f} MB"


def _on(server: DurablePostgres | None, address: str, asked: Asked) -> Mapping[str, Sequence[Cost]]:
    with TemporaryDirectory() as folder:
        template = prepared(server, address, Path(folder))
        return _in_turn(server, address, template, asked)


def _in_turn(server: DurablePostgres | None, address: str, template: str, asked: Asked) -> Mapping[str, Sequence[Cost]]:
    costs: dict[str, list[Cost]] = {}
    for number in range(asked.rounds):
        order = SIDES if number % 2 else SIDES[::-1]
        stored = {}
        for side in order:
            with place(server, address, template) as at:
                for phase, one in zip(asked.phases, run(side, at, address, server, asked.phases), strict=True):
                    costs.setdefault(f"{side} {_named(phase)}", []).append(one)
                stored[side] = _stored(at[1]) if number == 0 else 0
        if len(set(stored.values())) != 1:
            raise Differs(f"Tocsin and the floor stored different rows: {stored}")
    return costs


def run(
    side: str, at: tuple[Path, str], address: str, server: DurablePostgres | None, phases: Sequence[str]
) -> list[Cost]:
    """One side's phases, in a process of its own; `at`: the folder of its configuration, and its database's URL."""
    folder, url = at
    words = [side, str(folder), url, address, str(server.pid if server else 0), *phases]
    command = [sys.executable, "-m", "benchmarks.polling.side", *words]
    done = subprocess.run(command, cwd=_ROOT, env=os.environ, stdout=subprocess.PIPE, text=True, check=True)
    return [Cost(**json.loads(line)) for line in done.stdout.splitlines()]


def _stored(url: str) -> int:
    """What tells the contents of two databases apart."""
    with closing(Database(url)) as database, database.engine.connect() as connection:
        return hash(tuple(hash(tuple(connection.execute(text(query)).all())) for query in _STORED))
