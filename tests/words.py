"""What may be typed after the commands of tests and benchmarks."""

from argparse import ArgumentTypeError


def positive(word: str) -> int:
    """A number that is 1 or more, for `argparse`: what strikes, or measures, not once proves nothing."""
    if int(word) < 1:
        raise ArgumentTypeError("must be 1 or more")
    return int(word)
