"""What ten thousand sources on one process cost: a start, a tick, and how evenly polls are spread.

    .venv/bin/python -m benchmarks.sources [SOURCES] [DATABASE]

Alone, it compares a tick among 10, 10,000 and 100,000: all that the task does but for sending the polls. With a number:

`every = "5m"`; one 300th of the sources is due at each tick. The floor of a tick: a transaction that reads one row. The
floor of the spread: polls at the same rate, but at random.
"""

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from cryptography.fernet import Fernet
from sqlalchemy import text, update
from sqlmodel import col

from benchmarks.row import Row, tell
from tests.words import database, positive
from worker import wiring
from worker.moment import Schedule, next_moment
from worker.sandbox.configuration import written
from worker.store import schema
from worker.store.session import Database
from worker.store.tables import Source
from worker.wiring import House

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
EVERY = timedelta(minutes=5)
TICKS = 200
AT_MOST = 1.5
_DUE = 10
_SECRET = {"env": "KEY"}
_SLUG = "bookkeep"
_SOURCE = {"provider": _SLUG, "publishable_key": _SECRET, "secret_key": _SECRET, "every": "5m"}


def house(folder: Path, url: str, count: int) -> House:
    """The house of so many sources; the clock stands still."""
    file = folder / "tocsin.toml"
    sources = {f"s{number}": _SOURCE for number in range(count)}
    file.write_text(written({"database": url, "key": {"env": "SEAL"}}, {"sources": sources}), encoding="utf-8")
    return House(wiring.read_settings(file, {"KEY": "a-secret", "SEAL": Fernet.generate_key().decode()}), lambda: AT)


def took_ms(what: Callable[[], object], times: int = 1) -> float:
    """Milliseconds; of several times the median."""
    each = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        each.append((time.perf_counter() - began) * 1000)
    return median(each)


def put_off(home: House, due: int) -> None:
    """The first so many are due, the others later."""
    with home.database.transaction() as session:
        session.execute(update(Source).values(next_poll_at=AT + EVERY))
        session.execute(update(Source).where(col(Source.id) <= due).values(next_poll_at=AT - EVERY))
    with home.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def tick_ms(home: House, due: int) -> float:
    """Milliseconds of a tick that finds so many, which then are due again."""
    found = list[str]()
    took = took_ms(lambda: found.extend(home.due_sources(_SLUG)))
    if len(found) != due:
        raise RuntimeError(f"{len(found)} were due, and not {due}")
    with home.database.transaction() as session:
        session.execute(update(Source).where(col(Source.id) <= due).values(queued_until=None))
    return took


def measure(counts: tuple[int, ...] = (10, 10_000, 100_000)) -> list[Row]:
    """A tick that finds ten due, among so many, in turn; the floor is among as many as are due. Medians."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        homes = [stack.enter_context(_settled(folder, count)) for count in counts]
        turns = [[tick_ms(home, _DUE) for home in homes] for _ in range(TICKS)]
    floor_ms, *costs = (median(column) for column in zip(*turns, strict=True))
    case = "a tick, {:,} sources, {} of them due, on SQLite".format
    return [
        Row("sources", case(count, _DUE), cost, floor_ms, "ms", cost / floor_ms, f"≤ {AT_MOST:g}× of {counts[0]}",
            cost <= AT_MOST * floor_ms)
        for count, cost in zip(counts[1:], costs, strict=True)
    ]  # fmt: skip


@contextmanager
def _settled(folder: Path, count: int) -> Iterator[House]:
    url = f"sqlite:///{folder}/{count}.db"
    with closing(Database(url)) as database:
        schema.migrate(database)
    with closing(house(folder, url, count)) as home:
        home.move_in()
        put_off(home, _DUE)
        yield home


def floor(home: House) -> None:
    """A transaction that reads one row."""
    with home.database.reading() as session:
        session.execute(text("SELECT name FROM source WHERE id = 1")).one()


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", type=positive, nargs="?")
    parser.add_argument("database", type=database, nargs="?")
    asked = parser.parse_args()
    if asked.count is None:
        tell(measure())
        return
    count = asked.count
    due = max(1, count // 300)
    for sources in (due, count):
        with TemporaryDirectory() as folder:
            url = asked.database or f"sqlite:///{folder}/tocsin.db"
            with closing(Database(url)) as empty:
                schema.migrate(empty)
            with closing(house(Path(folder), url, sources)) as home:
                first, again = took_ms(home.move_in), took_ms(home.move_in)
                put_off(home, due)
                each_ms = median(tick_ms(home, due) for _ in range(TICKS))
                floor_ms = took_ms(partial(floor, home), TICKS)
                print(
                    f"{sources:,} sources: registered in {first:.0f} ms, again in {again:.0f} ms; "
                    f"a tick that finds {due}: {each_ms:.2f} ms (floor {floor_ms:.2f} ms)"
                )
    moments = Counter(
        int((next_moment(f"s{number}", Schedule(EVERY), AT) - AT).total_seconds()) for number in range(count)
    )
    chance = Counter(Random(1).choices(range(300), k=count))
    mean = count / 300
    print(
        f"spread: {mean:.1f} polls a second, at most {max(moments.values())} "
        f"({max(moments.values()) / mean:.2f} times the mean; at random {max(chance.values()) / mean:.2f})"
    )


if __name__ == "__main__":
    main()
