"""A provider by description alone, in every kind of paging, before one API that can be paged in all of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.errors import ContractBroken, ItemRejected
from worker.notification import Status
from worker.provider import Page, Provider, Window
from worker.providers import build
from worker.rest.client import Means
from worker.sandbox.server import Server
from worker.sandbox.wire import Answer, Request
from worker.settings.described import source_of
from worker.settings.description import Description

BEGIN = datetime(2026, 3, 20, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": number, "at": int(BEGIN.timestamp()) + 60 * number, "state": "open"} for number in range(1, 24)
]


class Everything:
    """An API that understands every way of paging. `cap`: its own largest page."""

    cap = 4

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.server = Server(self.respond, lambda: BEGIN + timedelta(hours=1))

    def respond(self, request: Request) -> Answer:
        self.asked.append(request)
        query = dict(request.query)
        if request.path.startswith("/one/"):
            found = [row for row in ROWS if str(row["id"]) == request.path.removeprefix("/one/")]
            return self.answer({"item": found[0]}) if found else Answer(404, b"{}")
        rows = [row for row in ROWS if int(query.get("from", 0)) <= row["at"] <= int(query.get("to", 1 << 40))]
        size = min(int(query.get("size", 100)), self.cap)
        start = self.start(query, rows, size)
        page, more = rows[start : start + size], start + size < len(rows)
        body: dict[str, Any] = {"rows": page, "meta": {"total": len(rows), "more": more}}
        if not more:
            return self.answer(body)
        onward = f"/list?size={size}&cursor={start + size}"
        body["meta"] |= {"next": onward, "cursor": str(start + size)}
        return self.answer(body, Link=f'<{self.server.url}{onward}>; rel="next"')

    def start(self, query: dict[str, str], rows: list[dict[str, Any]], size: int) -> int:
        if "after" in query:
            return sum(1 for row in rows if row["id"] <= int(query["after"]))
        return int(query.get("offset") or query.get("cursor") or int(query.get("page", 0)) * size)

    def answer(self, body: Any, **headers: str) -> Answer:
        return Answer(200, json.dumps(body).encode(), headers)


Make = Callable[..., Provider]


@pytest.fixture
def api() -> Iterator[Everything]:
    made = Everything()
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def provider(api: Everything) -> Iterator[Make]:
    """The provider of a description, with a source's keys."""
    with ExitStack() as closing:

        def make(page: dict[str, Any], source: dict[str, Any] | None = None, **keys: Any) -> Provider:
            written = {"base_url": api.server.url, "path": "/list", "items": "rows", "id": "id", "page": page, **keys}
            options = source_of(Description.model_validate(written))
            made, client = build(
                options.model_validate({"provider": "acme", **(source or {})}), Means(sleep=lambda _: None)
            )
            closing.callback(client.close)
            return made

        yield make


def numbers(pages: list[Page]) -> list[Any]:
    return [item["id"] for page in pages for item in page.items]


EVERY = [row["id"] for row in ROWS]
EPOCH = {"field": "at", "format": "epoch"}
SPAN = Window(BEGIN + timedelta(minutes=5), BEGIN + timedelta(minutes=15))
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "offset": ({"kind": "offset"}, {}),
    "offset with a total": ({"kind": "offset", "total": "meta.total"}, {}),
    "pages from 0": ({"kind": "page_number", "first": 0, "more": "meta.more", "ask": 4}, {}),
    "a link in the answer": ({"kind": "link", "next": "meta.next"}, {}),
    "a link in the header": ({"kind": "link", "stable": True}, {}),
    "a cursor": ({"kind": "cursor", "cursor": "cursor", "next": "meta.cursor"}, {}),
    "ids": ({"kind": "cursor", "after": "after", "within": "oldest_first", "ids": "decimal", "first": "0"}, {}),
    "windows of offsets": ({"kind": "offset"}, {"time": {**EPOCH, "from": "from", "to": "to"}}),
    "windows alone": ({"kind": "none"}, {"time": {**EPOCH, "from": "from", "to": "to"}}),
    "ascending": ({"kind": "offset"}, {"time": {**EPOCH, "from": "from", "order": "oldest_first"}}),
    "ascending alone": ({"kind": "none"}, {"time": {**EPOCH, "from": "from", "order": "oldest_first"}}),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_paging_is_read_to_the_end_under_a_cap(provider: Make, kind: str) -> None:
    page, keys = KINDS[kind]

    pages = list(provider({"size": "size", **page}, **keys).pages(Window()))

    assert sorted(numbers(pages)) == EVERY
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("kind", ["windows of offsets", "windows alone"])
def test_a_window_is_halved_until_it_fits(provider: Make, kind: str) -> None:
    page, keys = KINDS[kind]

    found = numbers(list(provider({"size": "size", **page}, **keys).pages(SPAN)))

    assert set(range(5, 16)) <= set(found) <= set(range(4, 17))


@pytest.mark.parametrize("kind", ["ascending", "ascending alone"])
def test_an_order_is_read_from_the_last_timestamp(provider: Make, api: Everything, kind: str) -> None:
    page, keys = KINDS[kind]

    found = numbers(list(provider({"size": "size", **page}, **keys).pages(Window(SPAN.start))))

    assert found == list(range(5, 24))
    assert len({request.first("from") for request in api.asked}) > 4


def test_a_list_without_pages_is_one_request(provider: Make, api: Everything) -> None:
    api.cap = 100

    (page,) = provider({"kind": "none"}).pages(Window())

    assert (numbers([page]), page.last, len(api.asked)) == (EVERY, True, 1)


def test_a_list_without_pages_that_says_there_are_more_is_a_broken_contract(provider: Make) -> None:
    with pytest.raises(ContractBroken, match="more than one page"):
        list(provider({"kind": "none", "more": "meta.more"}).pages(Window()))


def test_fixed_parameters_and_the_source_s_page_size_are_sent(provider: Make, api: Everything) -> None:
    list(
        provider(
            {"kind": "none", "size": "size"}, {"page_size": 7}, **KINDS["windows alone"][1], parameters={"all": 1}
        ).pages(SPAN)
    )

    assert (api.asked[0].first("all"), api.asked[0].first("size")) == ("1", "7")
    assert (api.asked[0].first("from"), api.asked[0].first("to")) == ("1774008300", "1774008900")


@pytest.mark.parametrize(
    ("auth", "source", "header", "shown"),
    [
        (None, {}, "authorization", None),
        (None, {"token": "the-token"}, "authorization", "Bearer the-token"),
        (None, {"username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ({"kind": "header", "header": "X-Api-Key"}, {"token": "the-token"}, "x-api-key", "the-token"),
        ({"kind": "header", "prefix": "Token "}, {"token": "the-token"}, "authorization", "Token the-token"),
        (None, {"headers": {"X-Own": "the-token"}}, "x-own", "the-token"),
    ],
)
def test_credentials_are_shown_as_described(
    provider: Make, api: Everything, auth: Any, source: dict[str, Any], header: str, shown: str | None
) -> None:
    list(provider({"kind": "none"}, source, auth=auth).pages(Window()))

    assert api.asked[0].headers.get(header) == shown


def test_one_item_is_where_the_description_says(provider: Make) -> None:
    described = provider({"kind": "none"}, by_id="/one/{id}", item="item")

    assert (described.fetch("7"), described.fetch("700")) == (ROWS[6], None)
    with pytest.raises(ContractBroken, match="A single item is an object"):
        provider({"kind": "none"}, by_id="/one/{id}", item="rows").fetch("7")


def test_what_is_not_described_can_not_be_asked_for(provider: Make) -> None:
    described = provider({"kind": "none"})

    with pytest.raises(ContractBroken):
        list(described.changes("readDate", BEGIN))
    with pytest.raises(ContractBroken):
        described.fetch("7")
    with pytest.raises(ContractBroken):
        described.acknowledge(["7"])


MAP = {
    "kind": "'alert'",
    "title": {"path": "severity", "values": {"3": "Severe", "true": "Yes"}},
    "status": {"path": "state", "values": {"done": "resolved", "false": "ignored"}},
    "message": {"path": "html", "html": True},
    "reason": "sum(numbers)",
    "closed_at": "closed",
}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, {"kind": "alert", "title": None, "status": Status.NEW, "occurred_at": None}),
        ({"severity": 3}, {"title": "Severe"}),
        ({"severity": 4}, {"title": "4"}),
        ({"severity": True}, {"title": "Yes"}),
        ({"severity": {"a": 1}}, {"title": None}),
        ({"state": "done"}, {"status": Status.RESOLVED, "provider_status": "done"}),
        ({"state": False}, {"status": Status.IGNORED, "provider_status": "false"}),
        ({"state": "resolved"}, {"status": Status.NEW, "provider_status": "resolved"}),
        ({"html": "<p>a&amp;b</p>c"}, {"message": "a&b\nc"}),
        ({"numbers": [1, 2]}, {"reason": "3"}),
        ({"numbers": "no list"}, {"reason": None}),
        ({"at": 1774008000}, {"occurred_at": BEGIN, "updated_at": BEGIN}),
        ({"at": "1774008000"}, {"occurred_at": BEGIN}),
        ({"at": 1774008000.5}, {"occurred_at": BEGIN + timedelta(milliseconds=500)}),
        ({"at": "2026-03-20T12:00:00Z"}, {"occurred_at": BEGIN}),
        ({"at": "2026-03-20T12:00:00"}, {"occurred_at": None}),
        ({"at": True}, {"occurred_at": None}),
        ({"at": 1 << 80}, {"occurred_at": None}),
        ({"at": "9" * 50}, {"occurred_at": None}),
        ({"closed": 1774008000}, {"closed_at": BEGIN}),
    ],
)
def test_an_item_is_mapped_by_the_description(provider: Make, item: dict[str, Any], expected: dict[str, Any]) -> None:
    raw = {"id": 1, **item}
    found = provider({"kind": "none"}, map=MAP, time=EPOCH).normalise(raw, BEGIN)

    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.external_id, found.raw) == ("1", raw)


def test_words_of_ours_need_no_values(provider: Make) -> None:
    described = provider({"kind": "none"}, map={"status": "state"})

    states = ["read", "expired", "open", None, 7]
    found = [described.normalise({"id": 1, "state": state}, BEGIN).status for state in states]
    assert found == [Status.READ, Status.EXPIRED, Status.NEW, Status.NEW, Status.NEW]


@pytest.mark.parametrize(
    ("time", "written", "bound"),
    [
        ({"format": "rfc3339"}, "2026-03-20T12:00:00Z", "2026-03-20T12:05:00Z"),
        ({"format": "rfc3339", "zone": "UTC"}, "2026-03-20T12:00:00", "2026-03-20T12:05:00Z"),
        ({"format": "epoch_ms"}, 1774008000000, "1774008300000"),
        ({"format": "epoch"}, 1774008000, "1774008300"),
    ],
)
def test_times_are_read_and_written_in_their_format(
    provider: Make, api: Everything, time: dict[str, str], written: Any, bound: str
) -> None:
    described = provider({"kind": "none"}, path="/one/1", items="[item]", time={"field": "at", "from": "since", **time})

    list(described.pages(Window(SPAN.start)))

    assert api.asked[0].first("since") == bound
    assert described.normalise({"id": 1, "at": written}, BEGIN).occurred_at == BEGIN


@pytest.mark.parametrize("identity", [None, "", True, {}, 1.5])
def test_an_item_without_a_usable_id_is_rejected(provider: Make, identity: Any) -> None:
    with pytest.raises(ItemRejected):
        provider({"kind": "none"}).normalise({"id": identity}, BEGIN)


def test_an_answer_without_a_list_is_a_broken_contract(provider: Make) -> None:
    with pytest.raises(ContractBroken, match="Its items are a list at nowhere; it answered null"):
        list(provider({"kind": "none"}, items="nowhere").pages(Window()))
