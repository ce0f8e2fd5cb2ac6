"""What may be typed after the commands of tests and benchmarks."""

from argparse import ArgumentTypeError

from sqlalchemy import exc, make_url


def positive(word: str) -> int:
    """A number that is 1 or more, for `argparse`: what strikes, or measures, not once proves nothing."""
    if int(word) < 1:
        raise ArgumentTypeError("must be 1 or more")
    return int(word)


def database(word: str) -> str:
    """A database's address, for `argparse`."""
    try:
        make_url(word)
    except exc.ArgumentError:
        raise ArgumentTypeError("must be a database's address, as postgresql+psycopg://user@host/name") from None
    return word
