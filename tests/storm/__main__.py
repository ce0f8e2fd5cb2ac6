"""`make storm`: storms, one after another, each with a seed of its own; exit 1 when a promise was broken in any.

python -m tests.storm [--seeds 10] [--seed 7] [--seconds 60]
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from secrets import randbelow
from tempfile import TemporaryDirectory

from tests.storm.plan import Weather
from tests.storm.storm import storm
from tests.words import positive

_REAL_LEASES_EVERY = 5
_LONG_S = 100.0


def main() -> int:
    """The exit status."""
    words = ArgumentParser(prog="make storm")
    words.add_argument("--seeds", type=positive, default=10, help="how many storms, each with a random seed")
    words.add_argument("--seed", type=int, help="this storm again, and no other")
    words.add_argument("--seconds", type=positive, default=60.0, help="how long each lasts")
    asked = words.parse_args()
    seeds = [asked.seed] if asked.seed is not None else [randbelow(1_000_000) for _ in range(asked.seeds)]
    broken = 0
    for seed in seeds:
        sys.stdout.write(f"seed {seed} …\n")
        sys.stdout.flush()
        with TemporaryDirectory(prefix="storm-") as folder:
            came = storm(seed, weather(seed, asked.seconds), Path(folder))
        sys.stdout.write(f"{came}\n")
        sys.stdout.flush()
        broken += bool(came.found)
    sys.stdout.write(f"{len(seeds)} storms, {broken} with promises broken\n")
    return 1 if broken else 0


def weather(seed: int, seconds: float) -> Weather:
    """One storm in five has the leases of real life, and lasts until they have ended."""
    return Weather(max(seconds, _LONG_S), None) if seed % _REAL_LEASES_EVERY == 0 else Weather(seconds)


if __name__ == "__main__":
    sys.exit(main())
