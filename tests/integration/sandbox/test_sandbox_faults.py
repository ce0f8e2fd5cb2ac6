"""What can be made to go wrong at the sandbox's APIs."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from worker.sandbox import (
    GARBLED,
    Answer,
    BreakOff,
    Cut,
    Fail,
    Flood,
    HandClock,
    Hang,
    Refuse,
    Sandbox,
    Throttle,
    Trickle,
)
from worker.sandbox.wire import Request

Ask = Callable[..., requests.Response]


def statuses(ask: Ask, times: int) -> list[int]:
    return [ask().status_code for _ in range(times)]


def test_the_next_requests_fail_as_told_and_those_after_do_not(sandbox: Sandbox, registrar: Ask) -> None:
    sandbox.realtime_register.faults.next(Fail(503), Fail(500), times=2)
    assert statuses(registrar, 5) == [503, 500, 503, 500, 200]


def test_a_failure_is_told_in_the_providers_own_words(
    sandbox: Sandbox, registrar: Ask, books: Ask, pushes: Ask
) -> None:
    for api in sandbox.apis.values():
        api.faults.next(Fail(429, {"Retry-After": "7"}))
    answers = [registrar(), books(), pushes()]
    assert [answer.headers["Retry-After"] for answer in answers] == ["7", "7", "7"]
    assert answers[0].json()["type"] == "TooManyRequests"
    assert answers[1].json()["errors"][0]["status"] == "429"
    assert answers[2].json()["title"] == "Too Many Requests"


def test_credentials_are_refused_once_or_until_told_otherwise(sandbox: Sandbox, books: Ask) -> None:
    faults = sandbox.bookkeep.faults
    faults.next(Refuse())
    assert statuses(books, 2) == [401, 200]
    faults.refuse()
    assert statuses(books, 2) == [401, 401]
    faults.refuse(refusing=False)
    assert statuses(books, 1) == [200]


def test_requests_beyond_the_throttle_are_told_when_it_ends(sandbox: Sandbox, registrar: Ask, clock: HandClock) -> None:
    sandbox.realtime_register.faults.throttle(Throttle(2, timedelta(seconds=10)))
    assert statuses(registrar, 2) == [200, 200]
    clock.turn(timedelta(seconds=4))
    refused = registrar()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "6")
    clock.turn(timedelta(seconds=6))
    assert statuses(registrar, 3) == [200, 200, 429]


def test_a_throttle_may_be_silent_and_may_let_nothing_pass(sandbox: Sandbox, registrar: Ask) -> None:
    sandbox.realtime_register.faults.throttle(Throttle(0, timedelta(seconds=10), announce=False))
    silent = registrar()
    sandbox.realtime_register.faults.throttle(Throttle(0, timedelta(seconds=10)))
    assert (silent.status_code, "Retry-After" in silent.headers) == (429, False)
    assert registrar().headers["Retry-After"] == "10"


def test_pages_are_capped_at_every_provider(sandbox: Sandbox, registrar: Ask, books: Ask, pushes: Ask) -> None:
    for slug, api in sandbox.apis.items():
        sandbox.publish(5, slug)
        api.faults.cap(2)
    assert len(registrar(query="limit=5").json()["entities"]) == 2
    assert len(books(**{"page[size]": "5"}).json()["data"]) == 2
    assert len(pushes(limit="5").json()["notifications"]) == 2


def test_answers_are_delayed(sandbox: Sandbox, books: Ask) -> None:
    sandbox.bookkeep.faults.slow(timedelta(milliseconds=120))
    assert books().elapsed >= timedelta(milliseconds=120)


def test_what_is_cleared_goes_well_again(sandbox: Sandbox, books: Ask) -> None:
    faults = sandbox.bookkeep.faults
    faults.next(Fail(500), times=3)
    faults.refuse()
    faults.cap(0)
    faults.clear()
    assert statuses(books, 1) == [200]


@pytest.mark.parametrize("fault", [Cut(), BreakOff()])
def test_a_connection_that_is_cut_is_an_error_at_the_client(sandbox: Sandbox, books: Ask, fault: Cut) -> None:
    sandbox.bookkeep.faults.next(fault)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        books()


@pytest.mark.parametrize("fault", [Hang(), Trickle()])
def test_an_answer_that_never_ends_holds_up_nobody_else(
    sandbox: Sandbox, session: requests.Session, fault: Hang | Trickle
) -> None:
    sandbox.bookkeep.faults.next(fault)
    url = f"{sandbox.bookkeep.base_url}/notifications"
    with pytest.raises(requests.RequestException):
        session.get(url, timeout=0.04)
    assert session.get(url, timeout=10).status_code == 401


def test_a_delayed_answer_is_not_given_to_who_has_left(sandbox: Sandbox, session: requests.Session) -> None:
    sandbox.bookkeep.faults.next(Answer(after=timedelta(minutes=1)))
    with pytest.raises(requests.ReadTimeout):
        session.get(f"{sandbox.bookkeep.base_url}/notifications", timeout=0.04)


def test_a_flood_is_as_large_as_told(sandbox: Sandbox, books: Ask) -> None:
    sandbox.bookkeep.faults.next(Flood(size=200_001))
    assert len(books().content) == 200_001


def test_a_trickle_comes_one_byte_at_a_time(sandbox: Sandbox, session: requests.Session) -> None:
    sandbox.bookkeep.faults.next(Trickle(every=timedelta(milliseconds=1)))
    with session.get(f"{sandbox.bookkeep.base_url}/notifications", timeout=10, stream=True) as answer:
        assert answer.raw.read(3) == b"..."


def test_a_garbled_answer_is_no_json(sandbox: Sandbox, pushes: Ask) -> None:
    sandbox.govapp.faults.next(GARBLED)
    assert pushes().text.startswith("<html>")


def test_tokens_are_given_while_the_list_fails(sandbox: Sandbox, session: requests.Session, pushes: Ask) -> None:
    sandbox.govapp.faults.next(Fail(503))
    assert session.post(sandbox.govapp.token_url, data={}, timeout=10).status_code == 400
    assert pushes().status_code == 503


def test_something_may_happen_before_each_answer(sandbox: Sandbox, books: Ask) -> None:
    def publish(request: Request) -> None:
        sandbox.publish(request.number, "bookkeep")

    sandbox.bookkeep.meanwhile = publish
    records = [books().json()["meta"]["pagination"]["records"] for _ in range(3)]
    assert records == [1, 3, 6]


def test_a_mistake_of_the_sandbox_itself_is_shown(
    sandbox: Sandbox, books: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Request) -> None:
        raise LookupError("a mistake")

    sandbox.bookkeep.meanwhile = fail
    with pytest.raises(requests.ConnectionError):
        books()
    sandbox.bookkeep.stop()
    assert "LookupError: a mistake" in capsys.readouterr().err


def test_the_date_header_shows_the_sandbox_clock(books: Ask) -> None:
    assert books().headers["Date"] == "Fri, 20 Mar 2026 12:00:00 GMT"


def test_what_was_asked_is_remembered(sandbox: Sandbox, books: Ask) -> None:
    books(sort="id")
    request = sandbox.bookkeep.requests[-1]
    assert (request.method, request.path, request.query) == ("GET", "/v1/notifications", (("sort", "id"),))


def test_a_stopped_api_refuses_connections_and_comes_back_at_the_same_address(sandbox: Sandbox, books: Ask) -> None:
    sandbox.publish(1, "bookkeep")
    sandbox.bookkeep.stop()
    with pytest.raises(requests.ConnectionError):
        books()
    sandbox.bookkeep.stop()
    sandbox.bookkeep.start()
    assert len(books().json()["data"]) == 1
