from argparse import ArgumentTypeError

import pytest

from tests.words import database, positive


def test_one_and_more_is_taken() -> None:
    assert (1, 50_000) == (positive("1"), positive("50000"))


@pytest.mark.parametrize(("word", "why"), [("0", ArgumentTypeError), ("-5", ArgumentTypeError), ("x", ValueError)])
def test_what_would_measure_nothing_is_refused_as_argparse_wants_it(word: str, why: type[Exception]) -> None:
    with pytest.raises(why):
        positive(word)


@pytest.mark.parametrize("word", ["sqlite:///a.db", "postgresql+psycopg://user@host:5432/name"])
def test_a_databases_address_is_taken_as_it_is(word: str) -> None:
    assert database(word) == word


def test_what_is_no_address_is_refused_as_argparse_wants_it() -> None:
    with pytest.raises(ArgumentTypeError):
        database("nonsense")
