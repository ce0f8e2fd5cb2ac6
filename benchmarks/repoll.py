"""What reading the same again costs: with nothing changed, and with one row in ten; beside a loop written by hand.

    .venv/bin/python -m benchmarks.repoll [--rows 50000] [--rounds 3]

As `ingest`, on what it has left.
"""

from benchmarks.polling.asking import asked
from benchmarks.polling.feed import SERVED_BY
from benchmarks.polling.rounds import Asked, rows
from benchmarks.row import Row, tell

PHASES = ("new", "unchanged", "changed")


def measure(how: Asked = Asked(phases=PHASES)) -> list[Row]:  # noqa: B008  # it is a value
    """The rows of the table."""
    return rows("repoll", how, PHASES[1:])


if __name__ == "__main__":
    print(SERVED_BY)
    tell(measure(asked(__doc__, PHASES)))
