"""What the command line of a benchmark of polling takes."""

from argparse import ArgumentParser

from benchmarks.polling.rounds import Asked
from tests.words import positive


def asked(about: str | None, phases: tuple[str, ...]) -> Asked:
    """How much is to be measured."""
    parser = ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--rows", type=positive, default=50_000)
    parser.add_argument("--rounds", type=positive, default=3)
    found = parser.parse_args()
    return Asked(found.rows, found.rounds, phases)
