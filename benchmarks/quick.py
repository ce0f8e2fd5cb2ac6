"""A guard against regressions: ratios of processor time, over the same floors, smaller. `make bench-quick`.

    .venv/bin/python -m benchmarks.quick [--figures]

Fails where a ratio is more than 30 % above what stands here; what is above is measured once more, for a machine that
others use too. `--figures` prints a table to put here, of three measurements: the worst of them.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import deliver, start
from benchmarks.polling.rounds import Asked, rows
from benchmarks.row import Row, tell

SLACK, TIMES = 1.3, 3
_POLLED = ("new", "unchanged")

EXPECTED: Mapping[tuple[str, str], float] = {
    ("deliver", "postgresql"): 3.2,
    ("deliver", "sqlite"): 3.4,
    ("polling", "PostgreSQL, new"): 2.6,
    ("polling", "SQLite, new"): 2.9,
    ("polling", "PostgreSQL, unchanged"): 3.0,
    ("polling", "SQLite, unchanged"): 4.4,
    ("start", "tocsin --help"): 3.5,
}
"""Benchmark and case → the ratio that it has. Made better, it is lowered here."""

MEASURED: Mapping[str, Callable[[], list[Row]]] = {
    "start": lambda: start.helped(5),
    "deliver": lambda: deliver.measure(rows=2_000, rounds=3, usual=False),
    "polling": lambda: rows("polling", Asked(3_000, 1, _POLLED), _POLLED),
}


def too_slow(found: Sequence[Row], expected: Mapping[tuple[str, str], float] = EXPECTED) -> list[str]:
    """A line for each ratio that has grown."""
    return [
        f"{row.name}, {row.case}: ×{row.ratio:.2f}, and it was ×{was:.2f}"
        for row in found
        if (was := expected.get((row.name, row.case))) and row.ratio > SLACK * was
    ]


def guarded(measure: Callable[[], list[Row]]) -> list[str]:
    """What has grown, also when it is measured once more."""
    found = measure()
    if too_slow(found):
        found = measure()
    tell(found)
    return too_slow(found)


def figures() -> None:
    """The table's lines."""
    for measure in MEASURED.values():
        every = [row for _ in range(TIMES) for row in measure()]
        for name, case in dict.fromkeys((row.name, row.case) for row in every):
            worst = max(row.ratio for row in every if (row.name, row.case) == (name, case))
            if (name, case) in EXPECTED:
                print(f'    ("{name}", "{case}"): {worst:.1f},', flush=True)


def main() -> None:
    """Measure; the exit status."""
    if "--figures" in sys.argv[1:]:
        figures()
        return
    worse = [line for measure in MEASURED.values() for line in guarded(measure)]
    sys.stdout.writelines(f"slower by more than 30 %: {line}\n" for line in worse)
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
