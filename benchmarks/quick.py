"""A guard against regressions: ratios of processor time, over the same floors, smaller. `make bench-quick`.

    .venv/bin/python -m benchmarks.quick [--figures]

Fails where a ratio is more than 30 % above what stands here, and where one that stands here wasn't measured. What is
above is measured again, twice at most, and the best counts: other programs only ever make it worse. `--figures` prints
a table to put here: medians of three measurements.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks import deliver, start
from benchmarks.polling.rounds import Asked, rows
from benchmarks.row import Row, tell

SLACK, TIMES = 1.3, 3
_POLLED = ("new", "unchanged")

Ratios = Mapping[tuple[str, str], float]
"""Benchmark and case → our cost over the floor's."""

EXPECTED: Ratios = {
    ("start", "tocsin --help"): 3.4,
    ("deliver", "postgresql"): 2.5,
    ("deliver", "sqlite"): 2.6,
    ("polling", "PostgreSQL, new"): 1.66,
    ("polling", "SQLite, new"): 1.79,
    ("polling", "PostgreSQL, unchanged"): 1.6,
    ("polling", "SQLite, unchanged"): 1.45,
}
"""What they are. Made better, they are lowered here."""

MEASURED: Mapping[str, Callable[[], list[Row]]] = {
    "start": lambda: start.helped(5),
    "deliver": lambda: deliver.measure(rows=1_200, rounds=5, usual=False, warm=True),
    "polling": lambda: rows("polling", Asked(2_000, 3, ("warm", "new", "unchanged*6")), _POLLED),
}


def too_slow(found: Sequence[Row], expected: Ratios) -> list[str]:
    """A line for each ratio that has grown, also at its best, and for each that is missing."""
    return [
        line for (name, case), was in expected.items() if (line := _grown(name, case, _best(found, name, case), was))
    ]


def _best(found: Sequence[Row], name: str, case: str) -> float | None:
    return min((row.ratio for row in found if (row.name, row.case) == (name, case)), default=None)


def _grown(name: str, case: str, ratio: float | None, was: float) -> str | None:
    if ratio is None:
        return f"{name}, {case}: it was not measured"
    return None if ratio <= SLACK * was else f"{name}, {case}: ×{ratio:.2f}, and it was ×{was:.2f}"


def guarded(measure: Callable[[], list[Row]], expected: Ratios) -> list[str]:
    """What has grown in each of several measurements, or is missing; the first in which nothing has is the last."""
    found: list[Row] = []
    for _ in range(TIMES):
        again = measure()
        tell(again)
        found += again
        if not too_slow(found, expected):
            break
    return too_slow(found, expected)


def figures(measured: Mapping[str, Callable[[], list[Row]]] = MEASURED) -> list[str]:
    """The table's lines."""
    every = [row for measure in measured.values() for _ in range(TIMES) for row in measure()]
    ratios: dict[tuple[str, str], list[float]] = {}
    for row in every:
        ratios.setdefault((row.name, row.case), []).append(row.ratio)
    return [f'    ("{name}", "{case}"): {median(each):.2f},' for (name, case), each in ratios.items()]


def main() -> None:
    """Measure; the exit status."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--figures", action="store_true", help="print a table to put into this file")
    if parser.parse_args().figures:
        print("\n".join(figures()))
        return
    worse = [
        line
        for name, measure in MEASURED.items()
        for line in guarded(measure, {key: was for key, was in EXPECTED.items() if key[0] == name})
    ]
    sys.stdout.writelines(f"slower by more than 30 %: {line}\n" for line in worse)
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
