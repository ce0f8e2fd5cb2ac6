import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from worker.errors import ContractBroken, RateLimited
from worker.provider import Contract, Order, Page, Paging, Validators, Window
from worker.providers import PROVIDERS, build
from worker.rest.answers import Answer
from worker.rest.client import Client, Means
from worker.rest.paging import Reading, anchored_offset, next_link, page_numbers
from worker.rest.visit import Visit

RECORDINGS = Path(__file__).parents[2] / "recordings"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
KNOWN = Validators('W/"\xe9, 1"', "Fri, 20 Mar 2026 11:00:00 +0000")
CONTRACT = Contract(
    paging=Paging.OFFSET,
    order=Order.NEWEST_FIRST,
    filters_from=False,
    filters_to=False,
    page_size=3,
    by_id=False,
)
ASCENDING = replace(CONTRACT, order=Order.OLDEST_FIRST)
FROM_AN_ID = replace(CONTRACT, from_id=True)

Serve = Callable[..., Any]
Connect = Callable[..., Client]
Make = Callable[..., Callable[[Any], None]]


def key(row: Any) -> str:
    return str(row)


def listed(answer: Answer) -> Reading:
    return Reading(rows=answer.json["rows"], more=answer.json.get("more"), next=answer.json.get("next"))


def by_offset(visit: Visit) -> Iterator[Page]:
    return anchored_offset(lambda offset, size: visit.read(listed, f"things/{offset}/{size}"), 3, key)


def by_number(visit: Visit) -> Iterator[Page]:
    return page_numbers(lambda number, size: visit.read(listed, f"things/{number}/{size}"), 3, key)


def by_link(visit: Visit) -> Iterator[Page]:
    return next_link(lambda address: visit.read(listed, address), "things", key)


def rows(*numbers: int, **members: Any) -> bytes:
    return json.dumps({"rows": numbers, **members}).encode()


every_paging = pytest.mark.parametrize("paging", [by_offset, by_number, by_link])


def passed(
    client: Client,
    paging: Callable[[Visit], Iterator[Page]] = by_offset,
    validators: Validators | None = None,
    contract: Contract = CONTRACT,
) -> list[Page]:
    visit = Visit(client, contract, Window(validators=validators))
    return list(visit.told(paging(visit)))


def test_what_an_answer_is_known_by_is_sent_back_byte_for_byte(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(body=rows(), ETag=KNOWN.etag, Last_Modified=KNOWN.last_modified))
    client = connect(script)

    first = passed(client)
    passed(client, validators=first[-1].validators)

    sent = script.asked[-1].headers
    assert first[-1].validators == KNOWN
    assert (sent["if-none-match"], sent["if-modified-since"]) == (KNOWN.etag, KNOWN.last_modified)


@pytest.mark.parametrize(
    ("validators", "sent"),
    [
        (Validators(etag='"a"'), {"if-none-match": '"a"'}),
        (Validators(last_modified=KNOWN.last_modified), {"if-modified-since": KNOWN.last_modified}),
        (None, {}),
    ],
)
def test_only_what_is_known_is_sent(
    serve: Serve, connect: Connect, answer: Make, validators: Validators | None, sent: dict[str, str]
) -> None:
    script = serve(answer(body=rows()))

    passed(connect(script), validators=validators)

    assert sent == {name: value for name, value in script.asked[0].headers.items() if name.startswith("if-")}


@every_paging
def test_an_answer_that_nothing_has_changed_is_a_complete_and_empty_pass(
    serve: Serve, connect: Connect, answer: Make, paging: Callable[[Visit], Iterator[Page]]
) -> None:
    script = serve(answer(304, b"", X_Poll_Interval="60", Date="Fri, 20 Mar 2026 12:00:01 GMT"))

    pages = passed(connect(script), paging, KNOWN)

    assert pages == [
        Page(
            items=[],
            last=True,
            server_date=NOW + timedelta(seconds=1),
            validators=KNOWN,
            not_before=NOW + timedelta(seconds=60),
        )
    ]
    assert len(script.asked) == 1


@every_paging
def test_validators_go_with_the_first_request_and_no_other(
    serve: Serve, connect: Connect, answer: Make, paging: Callable[[Visit], Iterator[Page]]
) -> None:
    script = serve(answer(body=rows(1, 2, 3, more=True, next="more")), answer(body=rows(3, more=False)))

    passed(connect(script), paging, KNOWN)

    assert len(script.asked) > 1
    assert [True] + [False] * (len(script.asked) - 1) == ["if-none-match" in asked.headers for asked in script.asked]


def test_an_unchanged_answer_that_was_not_asked_for_is_a_broken_contract(
    serve: Serve, connect: Connect, answer: Make
) -> None:
    with pytest.raises(ContractBroken):
        passed(connect(serve(answer(304, b""))))


@pytest.mark.parametrize(
    ("contract", "answers", "kept"),
    [
        (CONTRACT, [rows(1, 2), rows(2), rows()], Validators('"0"')),
        (CONTRACT, [rows(1, 2, 3), rows(3, 4), rows(4), rows()], None),
        (ASCENDING, [rows(1, 2), rows(2), rows()], None),
        (FROM_AN_ID, [rows(1, 2), rows(2), rows()], None),
        (ASCENDING, [rows()], Validators('"0"')),
    ],
    ids=["new rows at its top", "two pages", "new rows below", "new rows after an id", "nothing at all"],
)
def test_validators_are_kept_only_where_an_unchanged_first_answer_means_that_nothing_is_new(
    serve: Serve, connect: Connect, answer: Make, contract: Contract, answers: list[bytes], kept: Validators | None
) -> None:
    script = serve(*(answer(body=body, ETag=f'"{number}"') for number, body in enumerate(answers)))

    pages = passed(connect(script), contract=contract)

    assert [None] * (len(pages) - 1) + [kept] == [page.validators for page in pages]


def test_the_longest_rest_that_any_answer_asks_for_is_told(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(
        answer(body=rows(1, 2, 3)),
        answer(body=rows(3, 4), X_Poll_Interval="90"),
        answer(body=rows(4), X_Poll_Interval="60"),
        answer(body=rows()),
    )

    pages = passed(connect(script))

    assert pages[0].not_before is None
    assert {NOW + timedelta(seconds=90)} == {page.not_before for page in pages[1:]}


def test_a_built_in_provider_s_unchanged_list_is_one_empty_page(serve: Serve, answer: Make, means: Means) -> None:
    script = serve(answer(304, b""))
    written = {"provider": "bookkeep", "base_url": script.url, "publishable_key": "p", "secret_key": "the-secret"}
    provider, client = build(PROVIDERS["bookkeep"].options.model_validate(written), means)

    pages = list(provider.pages(Window(validators=KNOWN)))

    client.close()
    assert [([], True, KNOWN)] == [(page.items, page.last, page.validators) for page in pages]


def test_realtime_register_says_in_a_503_s_body_when_it_is_back(serve: Serve, answer: Make, means: Means) -> None:
    body = (RECORDINGS / "realtime_register" / "error_503_provider_unavailable.json").read_bytes()
    script = serve(answer(503, body, Date="Wed, 04 Mar 2026 01:30:00 GMT"))
    written = {"provider": "realtime_register", "base_url": script.url, "customer": "acme", "api_key": "the-key"}
    provider, client = build(PROVIDERS["realtime_register"].options.model_validate(written), means)

    with pytest.raises(RateLimited) as caught:
        list(provider.pages(Window()))

    client.close()
    assert caught.value.retry_after == timedelta(minutes=90)
