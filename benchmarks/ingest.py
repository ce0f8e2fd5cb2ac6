"""What taking in new notifications costs: processor time, beside a loop that is written by hand for the same.

    .venv/bin/python -m benchmarks.ingest [--rows 50000] [--rounds 3]

Pages of 500 from a stand-in for nginx (a bare asyncio protocol in a process of its own, with the pages rendered
beforehand): fetched, normalised, looked up, stored with sealed messages and deliveries to two endpoints, one commit a
page; on PostgreSQL as it comes, and on SQLite. Tocsin's side is a whole poll as it is wired. Both sides run in turn,
each on a new database, and what they have stored is compared.
"""

from benchmarks.polling.asking import asked
from benchmarks.polling.feed import SERVED_BY
from benchmarks.polling.rounds import Asked, rows
from benchmarks.row import Row, tell


def measure(how: Asked = Asked()) -> list[Row]:  # noqa: B008  # it is a value
    """The rows of the table."""
    return rows("ingest", how, ("new",))


if __name__ == "__main__":
    print(SERVED_BY)
    tell(measure(asked(__doc__, ("new",))))
