"""The stand-in for Bookkeep against PROVIDERS, section 2."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from worker.sandbox import HandClock, Sandbox

Ask = Callable[..., requests.Response]


@pytest.fixture
def ids(sandbox: Sandbox, clock: HandClock) -> list[str]:
    """Seven rows, a minute apart, oldest first."""
    made = []
    for _ in range(7):
        made.append(sandbox.publish(1, "bookkeep")[0].external_id)
        clock.turn(timedelta(minutes=1))
    return made


def listed(response: requests.Response) -> list[str]:
    return [item["id"] for item in response.json()["data"]]


def test_without_keys_the_answer_is_plain_text(sandbox: Sandbox, session: requests.Session) -> None:
    response = session.get(f"{sandbox.bookkeep.base_url}/notifications", timeout=10)
    assert (response.status_code, response.text) == (401, "HTTP Basic: Access denied.\n")


def test_pages_are_numbered_from_one_and_the_last_has_no_next(books: Ask, ids: list[str]) -> None:
    pages = [books(**{"page[number]": str(number), "page[size]": "3", "sort": "id"}) for number in (1, 2, 3)]
    assert [listed(page) for page in pages] == [ids[:3], ids[3:6], ids[6:]]
    assert pages[0].json()["meta"]["pagination"] == {"current": 1, "next": 2, "last": 3, "records": 7}
    assert pages[2].json()["meta"]["pagination"] == {"current": 3, "first": 1, "prev": 2, "records": 7}
    assert "next" not in pages[2].json()["links"]


def test_the_next_link_is_not_escaped(sandbox: Sandbox, books: Ask, ids: list[str]) -> None:
    link = books(**{"page[size]": "3", "sort": "-created_at"}).json()["links"]["next"]
    expected = f"{sandbox.bookkeep.base_url}/notifications?sort=-created_at&page[number]=2&page[size]=3"
    assert (len(ids), link) == (7, expected)


def test_a_page_past_the_end_is_empty(books: Ask, ids: list[str]) -> None:
    answer = books(**{"page[number]": "9"})
    assert (len(ids), listed(answer), answer.status_code) == (7, [], 200)
    assert answer.json()["meta"]["pagination"]["records"] == 7


@pytest.mark.parametrize("number", ["0", "-4", "many"])
def test_a_page_number_below_one_is_the_first_page(books: Ask, ids: list[str], number: str) -> None:
    assert listed(books(**{"page[number]": number, "page[size]": "2"})) == ids[:2]


def test_a_large_page_is_clamped_without_a_word(sandbox: Sandbox, books: Ask, ids: list[str]) -> None:
    sandbox.bookkeep.largest_size = 2
    answer = books(**{"page[size]": "100"})
    assert listed(answer) == ids[:2]
    assert answer.json()["links"]["current"].endswith("page[size]=2")


def test_a_size_that_is_none_is_thirty(sandbox: Sandbox, books: Ask) -> None:
    sandbox.publish(31, "bookkeep")
    assert [len(listed(books(**size))) for size in ({}, {"page[size]": "0"}, {"page[size]": "x"})] == [30, 30, 30]


def test_rows_are_sorted_by_what_is_documented_and_anything_else_is_ignored(books: Ask, ids: list[str]) -> None:
    assert listed(books(sort="-created_at")) == ids[::-1]
    assert listed(books(sort="-created_at,-id")) == ids[::-1]
    assert listed(books(sort="colour")) == ids


def test_descending_order_puts_absent_values_first(sandbox: Sandbox, books: Ask, ids: list[str]) -> None:
    ledger = sandbox.bookkeep.ledger
    row = ledger.find(ids[0])
    assert row is not None
    resolved = {**row.raw, "attributes": {**row.raw["attributes"], "resolved_at": "2026-03-20T12:30:00.000Z"}}
    ledger.change(ids[0], resolved, row.state.status)
    assert listed(books(sort="-resolved_at"))[-1] == ids[0]
    assert listed(books(sort="resolved_at"))[0] == ids[0]


def test_the_organization_is_filtered_and_other_filters_are_ignored(books: Ask, ids: list[str]) -> None:
    everything = books().json()["data"]
    ours = [item["id"] for item in everything if item["attributes"]["organization_id"] == 2]
    assert listed(books(**{"filter[organization_id_eq]": "2"})) == ours
    assert listed(books(**{"filter[state_eq]": "Resolved"})) == ids


def test_fields_are_selected(books: Ask, ids: list[str]) -> None:
    item = books(**{"fields[notification]": "type,state"}).json()["data"][0]
    assert item == {
        "id": ids[0],
        "type": "notification",
        "attributes": {"type": item["attributes"]["type"], "state": "Pending"},
    }


def test_one_row_is_had_by_its_id(books: Ask, ids: list[str]) -> None:
    assert books(f"/notifications/{ids[2]}").json()["data"] == books().json()["data"][2]


def test_an_unknown_id_is_a_404_in_the_documented_shape(books: Ask) -> None:
    response = books("/notifications/4711")
    error = response.json()["errors"][0]
    expected = (404, "404", "invalid_or_inaccessible_notification_id")
    assert (response.status_code, error["status"], error["title"]) == expected


def test_another_path_is_an_unrecognized_url(books: Ask) -> None:
    assert books("/entities").json()["error"]["type"] == "invalid_request_error"
