"""The command `tocsin`, and `python -m worker.cli` where it is not on the PATH."""

import sys

from worker.cli.words import command


def main() -> None:
    """Run one command. `health` is asked for every few seconds: it doesn't load what the others need."""
    if command(sys.argv[1:]) == "health":
        from worker.cli.health import alone  # noqa: PLC0415  # only one of the two is loaded

        alone()
    else:
        from worker.cli.main import main as any_command  # noqa: PLC0415  # as above

        any_command()


if __name__ == "__main__":
    main()
