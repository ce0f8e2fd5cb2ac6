from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import AT, page
from tests.integration.backfill.shelf import Reader, Shelf, history, ids
from worker.backfill import WAITS
from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.provider import Page
from worker.store.backfills import LEASE_FOR

MINUTE = timedelta(minutes=1)


def failing(*errors: ProviderError) -> Callable[[], None]:
    """The first requests fail so, one each."""
    left = list(errors)

    def meanwhile() -> None:
        if left:
            raise left.pop(0)

    return meanwhile


def test_a_limit_is_waited_out_however_often_it_comes(reader: Reader) -> None:
    shelf = Shelf(*history(30))
    shelf.meanwhile = failing(*[RateLimited("slowly", MINUTE)] * 10)
    progress = reader.read(shelf)
    assert (sum(reader.waits, timedelta()), progress.extent.done) == (10 * MINUTE, True)
    assert (
        reader.told[0]
        == "The provider asks us to slow down. slowly It is tried again. Going on at 2026-03-20T12:01:00Z."
    )


def test_other_failures_are_tried_again_after_longer_and_longer_waits(reader: Reader) -> None:
    shelf = Shelf(*history(30))
    shelf.meanwhile = failing(Unavailable(), RateLimited(), ContractBroken(), Unavailable(), Unavailable())
    reader.read(shelf)
    assert (sum(reader.waits, timedelta()), reader.known) == (sum(WAITS, timedelta()), ids(shelf.rows))
    assert list(WAITS) == sorted(WAITS)


def test_what_fails_again_and_again_is_given_up(reader: Reader) -> None:
    shelf = Shelf(*history(30))
    shelf.meanwhile = failing(*[Unavailable()] * 100)
    with pytest.raises(Unavailable):
        reader.read(shelf)
    assert shelf.requests == len(WAITS) + 1


def test_a_window_that_was_read_forgives_the_failures_before_it(reader: Reader) -> None:
    shelf = Shelf()

    def every_second_fails() -> None:
        if shelf.requests % 2:
            raise Unavailable

    shelf.meanwhile = every_second_fails
    assert reader.read(shelf).extent.done
    assert set(reader.waits) == {WAITS[0]}


def test_refused_credentials_are_not_tried_again(reader: Reader) -> None:
    shelf = Shelf()
    shelf.meanwhile = failing(AuthFailed())
    with pytest.raises(AuthFailed):
        reader.read(shelf)
    assert (shelf.requests, reader.waits) == (1, [])


def test_a_window_without_a_last_page_is_a_broken_contract(reader: Reader) -> None:
    class Endless(Shelf):
        def page(self, rows, *, last):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG002
            return page(*rows)

    with pytest.raises(ContractBroken):
        reader.read(Endless())


def test_between_windows_the_provider_is_left_alone_as_long_as_it_asks(reader: Reader) -> None:
    class Tired(Shelf):
        def page(self, rows, *, last):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            found: Page = super().page(rows, last=last)
            return replace(found, not_before=reader.clock() + MINUTE)

    shelf = Tired()
    progress = reader.read(shelf)
    assert sum(reader.waits, timedelta()) == (progress.extent.windows - 1) * MINUTE


def test_a_limit_within_a_window_is_waited_out_on_the_spot_and_the_claim_kept(reader: Reader) -> None:
    """As a provider's client does it: the request is made again, and the window goes on."""
    watch, shelf = reader.watch(), Shelf(*history(30))

    def limited() -> None:
        if shelf.requests == 1:
            watch.wait_out(RateLimited("slowly", 10 * LEASE_FOR))

    shelf.meanwhile = limited
    steps = reader.steps(shelf, watch=watch)
    next(steps)
    next(steps)
    held = [window.claimed_until for window in reader.windows if window.claim_token or window.done_at]
    assert (reader.clock(), shelf.requests, len(held)) == (AT + 10 * LEASE_FOR, 1, 1)
    assert list(steps)[-1].extent.done
    assert len(shelf.asked) == len(set(shelf.asked))


def test_a_limit_that_does_not_say_how_long_is_an_error(reader: Reader) -> None:
    with pytest.raises(RateLimited):
        reader.watch().wait_out(RateLimited())
    assert reader.waits == []


def test_a_limit_that_is_over_already_is_not_waited_for(reader: Reader) -> None:
    reader.watch().wait_out(RateLimited(retry_after=timedelta()))
    assert (reader.waits, reader.told) == ([], [])
