"""One suite for every provider: what goes wrong, and whose move it is (POLLING, section 5)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.providers.cases import BEGIN
from tests.providers.stage import LOGINS, Stage, every_provider, ids, read, whole
from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.provider import Provider
from worker.rest.wire import Limits
from worker.sandbox import GARBLED, Answer, BreakOff, Cut, Fail, Hang, Trickle
from worker.sandbox.faults import Fault

# What goes wrong


def error_of(stage: Stage, *faults: Fault, times: int = 1, provider: Provider | None = None) -> ProviderError:
    stage.grow(1)
    stage.api.faults.next(*faults, times=times)
    asked = provider or stage.provider()
    with pytest.raises(ProviderError) as caught:
        read(asked)
    assert [
        secret for secret in stage.case.secrets(stage.sandbox) if secret in f"{caught.value!r} {caught.value}"
    ] == []
    return caught.value


@every_provider
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, timedelta(seconds=7)),
        ({"Retry-After": "Fri, 20 Mar 2026 12:02:00 GMT"}, datetime(2026, 3, 20, 12, 2, tzinfo=UTC) - BEGIN),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_a_429_says_how_long_to_wait(stage: Stage, headers: dict[str, str], wait: timedelta | None) -> None:
    stage.clock.turn(-timedelta(minutes=1))  # the row that is published turns it on again
    error = error_of(stage, Fail(429, headers))
    assert (type(error), getattr(error, "retry_after", None)) == (RateLimited, wait)


@every_provider
def test_a_503_that_says_when_to_come_back_is_obeyed(stage: Stage) -> None:
    error = error_of(stage, Fail(503, {"Retry-After": "30"}), times=3)
    assert (type(error), getattr(error, "retry_after", None)) == (RateLimited, timedelta(seconds=30))


@every_provider
@pytest.mark.parametrize("fault", [Fail(500), Fail(502), Fail(503), Cut(), BreakOff()])
def test_a_server_that_is_out_of_order_is_unavailable(stage: Stage, fault: Fault) -> None:
    assert type(error_of(stage, fault, times=5)) is Unavailable


@every_provider
@pytest.mark.parametrize("fault", [Fail(500), Fail(503), Cut()])
def test_a_passing_failure_is_not_even_noticed(stage: Stage, fault: Fault) -> None:
    stage.grow(3)
    stage.api.faults.next(fault)
    provider = stage.provider()
    assert ids(provider, read(provider), stage.clock) == stage.visible()


@every_provider
@pytest.mark.parametrize("fault", [Hang(), Trickle(every=timedelta(milliseconds=10))])
def test_an_answer_that_never_ends_is_given_up(stage: Stage, fault: Fault) -> None:
    provider = stage.provider(limits=Limits(total=timedelta(milliseconds=300)))
    assert type(error_of(stage, fault, times=5, provider=provider)) is Unavailable


@every_provider
def test_refused_credentials_are_for_a_person_and_not_for_another_try(stage: Stage) -> None:
    stage.api.faults.refuse()
    assert type(error_of(stage)) is AuthFailed
    assert len([one for one in stage.api.requests if one.method == "GET"]) <= 2


@every_provider
def test_wrong_credentials_are_refused(stage: Stage) -> None:
    assert type(error_of(stage, provider=stage.provider(**stage.case.spoilt_settings))) is AuthFailed


@pytest.mark.parametrize(("slug", "login"), LOGINS)
def test_every_way_to_log_in_is_let_in(stage: Stage, login: int) -> None:
    stage.grow(3)
    provider = stage.provider(page_size=1, **stage.case.logins[login](stage.sandbox))
    assert ids(provider, read(provider), stage.clock) == stage.visible()


@every_provider
def test_credentials_that_end_in_the_middle_are_renewed(stage: Stage) -> None:
    stage.grow(8)
    provider = stage.provider(page_size=4)
    pages = provider.pages(whole(stage))
    first = next(pages)
    stage.case.end_tokens(stage.sandbox)
    assert ids(provider, [first, *pages], stage.clock) == stage.visible()


@every_provider
def test_days_later_the_same_provider_is_still_let_in(stage: Stage) -> None:
    provider = stage.provider()
    read(provider)
    stage.clock.turn(timedelta(days=2))
    stage.grow(2)
    assert ids(provider, read(provider), stage.clock) == stage.visible()


@every_provider
@pytest.mark.parametrize(
    "fault",
    [
        GARBLED,
        Answer(200, b""),
        Answer(200, b"{"),
        Answer(200, b"null"),
        Answer(200, b'"text"'),
        Answer(200, b"{}"),
        Answer(200, b'{"entities": 1, "data": 1, "notifications": 1, "totalAmount": 1}'),
        Answer(200, b"[" * 100_000),
        Answer(200, b"{}", {"Content-Encoding": "gzip"}),
        Answer(302, headers={"Location": "http://127.0.0.1:1/elsewhere"}),
        Fail(400),
        Fail(404),
    ],
    ids=lambda fault: repr(fault)[:60],
)
def test_an_answer_that_is_not_as_documented_breaks_the_contract(stage: Stage, fault: Fault) -> None:
    error = error_of(stage, fault, times=3)
    assert isinstance(error, ContractBroken)


@every_provider
def test_an_answer_beyond_all_bounds_breaks_the_contract(stage: Stage) -> None:
    provider = stage.provider(limits=Limits(body=1000))
    assert type(error_of(stage, Answer(200, b" " * 2000), provider=provider)) is ContractBroken


@every_provider
def test_what_was_read_before_a_failure_stays_read(stage: Stage) -> None:
    stage.grow(8)
    pages = stage.provider(page_size=4).pages(whole(stage))
    first = next(pages)
    stage.api.faults.next(Fail(503), times=5)
    with pytest.raises(Unavailable):
        list(pages)
    assert (len(first.items), first.last) == (4, False)


@every_provider
def test_after_a_failure_the_same_provider_reads_everything(stage: Stage) -> None:
    provider = stage.provider(page_size=2)
    error_of(stage, Fail(503), times=3, provider=provider)
    stage.grow(4)
    assert ids(provider, read(provider), stage.clock) == stage.visible()
