"""`tocsin check` of a provider that is described in the file: whether the description fits what the API gives."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.cli.desk import Desk, Said
from worker.sandbox import Sandbox
from worker.sandbox.configuration import written

ACME: dict[str, Any] = {
    "path": "/notifications",
    "items": "data",
    "id": "id",
    "page": {"kind": "page_number", "number": "page[number]", "size": "page[size]", "ask": 20},
    "auth": {"kind": "basic"},
}
AT, STATE = "attributes.created_at", "attributes.state"
WELL = {
    "time": {"field": AT},
    "map": {"kind": "attributes.name", "status": {"path": STATE, "values": {"Pending": "new"}}},
}


def checked(desk: Desk, sandbox: Sandbox, items: int, keys: Mapping[str, Any]) -> tuple[Said, str]:
    """The check of a source whose provider, the sandbox's Bookkeep, is described so; with what is said of it."""
    shown = {"username": sandbox.bookkeep.publishable_key, "password": sandbox.bookkeep.secret_key}
    source = {"provider": "acme", "base_url": sandbox.bookkeep.base_url, **shown}
    desk.write(written({}, {"providers": {"acme": {**ACME, **keys}}, "sources": {"books": source}}))
    sandbox.publish(items, "bookkeep")
    said = desk.tocsin("check")
    (line,) = [line for line in said.out.splitlines() if line.startswith("sources.books: ")]
    return said, line.removeprefix("sources.books: ")


def understood(items: int) -> str:
    return f"reachable, credentials accepted, {items} items understood"


def test_a_description_that_fits_is_ok(desk: Desk, sandbox: Sandbox) -> None:
    said, found = checked(desk, sandbox, 6, WELL)
    assert (said.code, found) == (0, f"ok; {understood(6)}")


@pytest.mark.parametrize("items", [1, 6])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"time": {"field": "created_on"}}, 'time.field: nothing is at "created_on" in any item'),
        ({"time": {"field": STATE}}, f'time.field: what is at "{STATE}" is no time in any item'),
        (
            {"time": {"field": "created_on"}, "map": {"occurred_at": AT}},
            'time.field: nothing is at "created_on" in any item',
        ),
        (
            {"time": {"field": AT}, "map": {"occurred_at": "when"}},
            'map.occurred_at: nothing is at "when" in any item',
        ),
        (
            {"time": {"field": "a"}, "map": {"occurred_at": "b"}},
            'time.field: nothing is at "a" in any item; map.occurred_at: nothing is at "b" in any item',
        ),
    ],
)
def test_a_time_that_no_item_has_fails(
    desk: Desk, sandbox: Sandbox, items: int, keys: Mapping[str, Any], words: str
) -> None:
    said, found = checked(desk, sandbox, items, keys)
    assert (said.code, found) == (1, f"FAILED; {understood(items)}. Mend: providers.acme: {words}")


@pytest.mark.parametrize(
    ("mapped", "words"),
    [
        ({"status": {"path": "stat"}}, 'map.status: nothing is at "stat" in any item'),
        ({"kind": "sort"}, 'map.kind: nothing is at "sort" in any item'),
        ({"kind": "attributes"}, 'map.kind: what is at "attributes" is no text in any item'),
        ({"occurred_at": "when"}, 'map.occurred_at: nothing is at "when" in any item'),
        ({"closed_at": STATE}, f'map.closed_at: what is at "{STATE}" is no time in any item'),
    ],
)
def test_what_is_mapped_and_in_no_item_of_five_is_a_warning(
    desk: Desk, sandbox: Sandbox, mapped: Mapping[str, Any], words: str
) -> None:
    said, found = checked(desk, sandbox, 5, {"map": mapped})
    assert (said.code, found) == (0, f"WARNING; {understood(5)}. Mend: providers.acme: {words}")


def test_what_is_mapped_and_in_none_of_a_few_items_may_be_there_another_time(desk: Desk, sandbox: Sandbox) -> None:
    said, found = checked(desk, sandbox, 4, {"map": {"kind": "sort", "status": {"path": "stat"}}})
    assert (said.code, found) == (0, f"ok; {understood(4)}")


def test_of_no_items_nothing_can_be_said(desk: Desk, sandbox: Sandbox) -> None:
    said, found = checked(desk, sandbox, 0, {"time": {"field": "created_on"}, "map": {"status": {"path": "stat"}}})
    assert (said.code, found) == (0, f"ok; {understood(0)}")


@pytest.mark.parametrize(
    "status",
    [{"path": STATE, "values": {"pending": "new"}}, {"path": STATE}],
    ids=["values", "our own words"],
)
def test_a_status_that_is_not_listed_is_a_warning(desk: Desk, sandbox: Sandbox, status: Mapping[str, Any]) -> None:
    said, found = checked(desk, sandbox, 1, {"map": {"status": status}})
    words = 'map.status.values: "Pending" not listed, which means new'
    assert (said.code, found) == (0, f"WARNING; {understood(1)}. Mend: providers.acme: {words}")


def test_of_many_statuses_that_are_not_listed_three_are_named(desk: Desk, sandbox: Sandbox) -> None:
    status = {"path": "id", "values": {"a": "new"}}
    _, found = checked(desk, sandbox, 5, {"map": {"status": status}})
    assert found.endswith('map.status.values: "101", "102", "103", … not listed, which means new')


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (
            {"kind": "link", "next": "links.nxt"},
            'page.next: nothing is at "links.nxt" although the page is full',
        ),
        ({"kind": "link"}, "page: there is no Link header although the page is full"),
        (
            {"kind": "cursor", "cursor": "c", "next": "nxt"},
            'page.next: nothing is at "nxt" although the page is full',
        ),
    ],
    ids=["link", "header", "cursor"],
)
def test_a_full_page_without_a_next_one_is_a_warning(
    desk: Desk, sandbox: Sandbox, page: Mapping[str, Any], words: str
) -> None:
    keys = {"page": {**page, "size": "page[size]", "ask": 3}}
    said, found = checked(desk, sandbox, 7, keys)
    expected = f"WARNING; {understood(3)}, pages of 3 as asked for. Mend: providers.acme: {words}"
    assert (said.code, found) == (0, expected)


def test_a_last_page_that_is_not_full_is_ok(desk: Desk, sandbox: Sandbox) -> None:
    said, found = checked(desk, sandbox, 2, {"page": {"kind": "link", "size": "page[size]", "ask": 3}})
    assert (said.code, found) == (0, f"ok; {understood(2)}")


def test_a_provider_that_comes_with_tocsin_fails_where_no_item_has_a_time(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.govapp.ledger.publish("1", {"id": "1", "status": "CREATED", "createdOn": "yesterday"})
    said = configured.tocsin("check")
    (found,) = [line for line in said.out.splitlines() if line.startswith("sources.govapp: ")]
    assert (said.code, found) == (
        1,
        f"sources.govapp: FAILED; {understood(1)}. Mend: createdOn is no time in any item",
    )
