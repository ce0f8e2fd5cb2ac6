"""What delivery costs: processor seconds, from a pending row to a recorded attempt, over what was written by hand.

    .venv/bin/python -m benchmarks.deliver [--rows 100000] [--rounds 3] [--on sqlite|postgresql]

A tenth as many notifications are each owed to ten endpoints, 1 KB each. Tocsin's sweep as it is wired, its log to a
file that nobody reads, against the loop of benchmarks/by_hand.py on a copy of the same database, in turn; and against
the usual way, `requests` in threads, on fewer rows. All of it and the database's own processes on one core, the
receiver on another.
"""

import gc
import os
import time
from argparse import ArgumentParser
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cryptography.fernet import Fernet

from benchmarks import by_hand, owed
from benchmarks.row import Row, tell
from benchmarks.stage import Durable, Receiver, on_one_core, receiver
from tests.words import positive
from worker import logs, wiring
from worker.sandbox.configuration import written
from worker.staying import spare_what_stays
from worker.wiring import House

AT_MOST, AT_LEAST = 2.0, 5.0
DATABASES = ("postgresql", "sqlite")
_FOR_EVER = timedelta(days=36_500)
_FEWER = 10


class Cost(NamedTuple):
    """Milliseconds of processor a delivery, ours and the server's; deliveries a second."""

    client: float
    server: float
    rate: float

    @property
    def total(self) -> float:
        """Both."""
        return self.client + self.server


@dataclass(frozen=True)
class Stage:
    """What all rounds share."""

    template: owed.Template
    receiver: Receiver
    folder: Path

    def tocsin(self, rows: int) -> Cost:
        """One sweep, as wired."""
        with self.template.copied() as url, closing(house(url, self.receiver.url, self.folder)) as home:
            cost = self._cost(home.deliver, rows)
            if owed.left_over(home.database.engine) != (0, rows):
                raise RuntimeError("something was not delivered, or not once")
        return cost

    def by_hand(self, send: type[by_hand.Curl] | type[by_hand.Requests], rows: int) -> Cost:
        """The loop, with that client."""
        client = send(self.receiver.url, b64decode(owed.SECRET.removeprefix("whsec_")))
        tables = by_hand.OnPostgres if self.template.server else by_hand.OnSqlite
        with self.template.copied() as url, closing(client), closing(tables(url)) as database:
            return self._cost(lambda: by_hand.deliver(database, client, rows), rows)

    def _cost(self, what: Callable[[], int], rows: int) -> Cost:
        gc.collect()
        before = time.perf_counter(), time.process_time(), self.template.server_s()
        done = what()
        after = time.perf_counter(), time.process_time(), self.template.server_s()
        if done < rows:
            raise RuntimeError(f"{done} of {rows} were delivered")
        wall, client, server = (late - early for late, early in zip(after, before, strict=True))
        return Cost(1000 * client / done, 1000 * server / done, done / wall)


def house(url: str, receiver_url: str, folder: Path, count: int = owed.ENDPOINTS) -> House:
    """So many endpoints, with room for what the floor has open."""
    endpoint = {"secret": {"env": "SECRET"}, "allow_networks": ["127.0.0.0/8"], "max_in_flight": by_hand.EACH}
    tables = {"endpoints": {name: {"url": f"{receiver_url}/{name}", **endpoint} for name in owed.names(count)}}
    file = folder / "tocsin.toml"
    file.write_text(written({"database": url, "key": {"env": "SEAL"}}, tables), encoding="utf-8")
    environ = {"SECRET": owed.SECRET, "SEAL": Fernet.generate_key().decode()}
    home = wiring.open_house(wiring.read_settings(file, environ))
    home.sweep_for = _FOR_EVER
    return home


@contextmanager
def stage(database: str, rows: int) -> Iterator[Stage]:
    """Servers up, rows owed, all on one core but for the receiver."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        nobody = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        logs.configure(nobody, json=True, level="info")
        taking = stack.enter_context(receiver())
        stack.enter_context(on_one_core())
        spare_what_stays()  # as `tocsin run` does; the floor is spared as much
        server = stack.enter_context(Durable()) if database == "postgresql" else None
        yield Stage(owed.template(rows, folder, server), taking, folder)


def measure(
    rows: int = 100_000,
    rounds: int = 3,
    databases: tuple[str, ...] = DATABASES,
    *,
    usual: bool = True,
    warm: bool = False,
) -> list[Row]:
    """Two rows a database: over the floor, and under the usual way if that is wanted.

    `warm`: a round before the first isn't counted; with few rows, what happens once would outweigh the rest.
    """
    found = []
    for database in databases:
        with stage(database, rows) as playing:
            turns = [(playing.tocsin(rows), playing.by_hand(by_hand.Curl, rows)) for _ in range(rounds + warm)]
            threads = playing.by_hand(by_hand.Requests, rows // _FEWER) if usual else None
        found += _rows(database, playing.receiver.kind, turns[warm:], threads)
    return found


def _rows(database: str, kind: str, turns: list[tuple[Cost, Cost]], usual: Cost | None) -> Iterator[Row]:
    ours, floor = (sorted(column, key=lambda cost: cost.total)[len(turns) // 2] for column in zip(*turns, strict=True))
    ratio = median(mine.total / its.total for mine, its in turns)
    aside = f"{_words(ours)}; floor {_words(floor)}; to {kind}"
    unit = "processor seconds per thousand"
    yield Row("deliver", database, ours.total, floor.total, unit, ratio, f"≤ {AT_MOST:g}×", ratio <= AT_MOST, aside)
    if usual is None:
        return
    less = usual.total / ours.total
    case, aside = f"{database}, beside requests in threads", _words(usual)
    yield Row("deliver", case, ours.total, usual.total, unit, less, f"{AT_LEAST:g}× less", less >= AT_LEAST, aside)


def _words(cost: Cost) -> str:
    return f"{cost.client:.3f} client + {cost.server:.3f} server, {cost.rate:,.0f}/s"


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=positive, default=100_000)
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--on", choices=DATABASES)
    said = parser.parse_args()
    tell(measure(said.rows, said.rounds, (said.on,) if said.on else DATABASES))


if __name__ == "__main__":
    main()
