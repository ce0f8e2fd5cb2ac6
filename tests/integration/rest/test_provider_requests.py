import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from worker.errors import AuthFailed, ContractBroken, Unavailable
from worker.notification import Status
from worker.provider import Page, Provider, Window
from worker.providers import PROVIDERS, build
from worker.rest.client import Means

RECORDINGS = Path(__file__).parents[2] / "recordings"
START = datetime(2026, 3, 1, 8, 0, 0, 250_000, tzinfo=UTC)
END = datetime(2026, 3, 20, 12, 0, 0, 750_000, tzinfo=UTC)

Serve = Callable[..., Any]
Make = Callable[..., Callable[[Any], None]]
Build = Callable[..., Provider]

KEYS: dict[str, dict[str, Any]] = {
    "realtime_register": {"customer": "a.b@c", "api_key": "the-secret-key"},
    "bookkeep": {"publishable_key": "publishable", "secret_key": "the-secret-key"},
    "govapp": {"auth": {"kind": "bearer", "token": "the-secret-key"}},
}


def recorded(name: str) -> bytes:
    return (RECORDINGS / f"{name}.json").read_bytes()


def query(asked: Any) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(asked.path).query, keep_blank_values=True)


def ids(pages: list[Page], name: str = "id") -> list[Any]:
    return [row[name] for page in pages for row in page.items]


@pytest.fixture
def source(means: Means) -> Iterator[Build]:
    """Builds the provider of a source at a server, from its options."""
    clients = []

    def make(slug: str, script: Any, **keys: Any) -> Provider:
        written = {"provider": slug, "base_url": f"{script.url}/base"} | KEYS[slug] | keys
        provider, client = build(PROVIDERS[slug].options.model_validate(written), means)
        clients.append(client)
        return provider

    yield make
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("slug", "authorization"),
    [
        ("realtime_register", "ApiKey the-secret-key"),
        ("bookkeep", "Basic cHVibGlzaGFibGU6dGhlLXNlY3JldC1rZXk="),
        ("govapp", "Bearer the-secret-key"),
    ],
)
def test_each_provider_shows_its_credentials(
    serve: Serve, answer: Make, source: Build, slug: str, authorization: str
) -> None:
    script = serve(answer(401))

    with pytest.raises(AuthFailed):
        list(source(slug, script, headers={"X-Own": "yes"}).pages(Window()))

    assert (script.asked[0].headers["authorization"], script.asked[0].headers["x-own"]) == (authorization, "yes")


def test_realtime_register_is_asked_in_a_stable_order_from_the_window_s_start(
    serve: Serve, answer: Make, source: Build
) -> None:
    script = serve(answer(body=recorded("realtime_register/list_empty")))

    pages = list(source("realtime_register", script).pages(Window(START, END)))

    assert urlsplit(script.asked[0].path).path == "/base/customers/a.b%40c/notifications"
    assert "fireDate%3Agte=2026-03-01T08%3A00%3A00Z" in script.asked[0].path
    assert query(script.asked[0]) == [
        ("order", "fireDate"),
        ("order", "id"),
        ("fireDate:gte", "2026-03-01T08:00:00Z"),
        ("fireDate:lte", "2026-03-20T12:00:01Z"),
        ("limit", "100"),
        ("offset", "0"),
    ]
    assert [(page.items, page.last) for page in pages] == [([], True)]


def test_realtime_register_is_asked_for_everything_without_a_window(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("realtime_register/list_empty")))

    list(source("realtime_register", script, page_size=7).pages(Window()))

    assert query(script.asked[0]) == [("order", "fireDate"), ("order", "id"), ("limit", "7"), ("offset", "0")]


def test_realtime_register_s_recorded_rows_are_read_as_they_are_paged(
    serve: Serve, answer: Make, source: Build
) -> None:
    rows = [row for page in (1, 2, 3) for row in json.loads(recorded(f"realtime_register/list_page{page}"))["entities"]]

    def page(handler: Any) -> None:
        asked = dict(parse_qsl(urlsplit(handler.path).query))
        part = rows[int(asked["offset"]) :][: min(4, int(asked["limit"]))]
        body = {"entities": part, "pagination": {"limit": 4, "offset": 0, "total": len(rows)}}
        answer(body=json.dumps(body).encode())(handler)

    pages = list(source("realtime_register", serve(page)).pages(Window()))

    assert ids(pages) == [row["id"] for row in rows]
    assert sum(page.repairs for page in pages) == 0
    assert all(page.server_date for page in pages)


def test_realtime_register_s_bare_array_is_read(serve: Serve, answer: Make, source: Build) -> None:
    provider = source("realtime_register", serve(answer(body=b'[{"id": 1}]'), answer(body=b"[]")))

    assert ids(list(provider.pages(Window()))) == [1]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"entities": {}}', b'"text"', b"", recorded("realtime_register/list_count_only")]
)
def test_a_list_of_the_wrong_shape_is_a_broken_contract_at_realtime_register(
    serve: Serve, answer: Make, source: Build, body: bytes
) -> None:
    with pytest.raises(ContractBroken, match="entities"):
        list(source("realtime_register", serve(answer(body=body))).pages(Window()))


@pytest.mark.parametrize(
    ("status", "body"), [(400, recorded("realtime_register/error_400_object_does_not_exist")), (404, b""), (410, b"")]
)
def test_a_list_that_does_not_exist_asks_for_the_customer_s_handle(
    serve: Serve, answer: Make, source: Build, status: int, body: bytes
) -> None:
    with pytest.raises(ContractBroken, match="customer the handle of the account"):
        list(source("realtime_register", serve(answer(status, body))).pages(Window()))


def test_any_other_refusal_of_a_list_says_what_the_provider_said(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(400, recorded("realtime_register/error_400_constraint_violation")))

    with pytest.raises(ContractBroken, match="limit must be a number"):
        list(source("realtime_register", script).pages(Window()))


def test_realtime_register_fetches_by_id(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("realtime_register/single_full")))

    item = source("realtime_register", script).fetch("4294967297")

    assert item is not None
    assert (item["eventType"], script.asked[0].path) == (
        "FAKE_EVENT_TYPE",
        "/base/customers/a.b%40c/notifications/4294967297",
    )


@pytest.mark.parametrize(
    ("slug", "status", "body"),
    [
        ("realtime_register", 400, recorded("realtime_register/error_400_object_does_not_exist")),
        ("realtime_register", 404, b""),
        ("realtime_register", 410, b""),
        ("bookkeep", 404, recorded("bookkeep/error_404_notification")),
        ("bookkeep", 410, b""),
    ],
)
def test_what_the_provider_no_longer_has_is_none(
    serve: Serve, answer: Make, source: Build, slug: str, status: int, body: bytes
) -> None:
    assert source(slug, serve(answer(status, body))).fetch("5") is None


@pytest.mark.parametrize(
    ("slug", "status", "body"),
    [
        ("realtime_register", 400, recorded("realtime_register/error_400_constraint_violation")),
        ("realtime_register", 200, b"[]"),
        ("realtime_register", 200, b""),
        ("bookkeep", 404, recorded("bookkeep/error_unrecognized_url")),
        ("bookkeep", 200, b'{"data": []}'),
        ("bookkeep", 200, b"{}"),
        ("bookkeep", 400, b""),
    ],
)
def test_any_other_answer_by_id_is_a_broken_contract(
    serve: Serve, answer: Make, source: Build, slug: str, status: int, body: bytes
) -> None:
    with pytest.raises(ContractBroken):
        source(slug, serve(answer(status, body))).fetch("5")


def test_realtime_register_acknowledges_each_with_a_post(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=b""))

    source("realtime_register", script).acknowledge(["1", "2"])

    assert [(asked.method, asked.path) for asked in script.asked] == [
        ("POST", "/base/customers/a.b%40c/notifications/1/ack"),
        ("POST", "/base/customers/a.b%40c/notifications/2/ack"),
    ]


@pytest.mark.parametrize("status", [400, 404, 409, 410])
def test_a_second_acknowledgement_may_be_refused(serve: Serve, answer: Make, source: Build, status: int) -> None:
    script = serve(answer(status, b'{"type": "ObjectStatusProhibitsOperation", "message": "no"}'), answer(body=b""))

    source("realtime_register", script).acknowledge(["1", "2"])

    assert len(script.asked) == 2


@pytest.mark.parametrize(("status", "expected"), [(401, AuthFailed), (403, AuthFailed), (500, Unavailable)])
def test_an_acknowledgement_that_failed_is_not_passed_over(
    serve: Serve, answer: Make, source: Build, status: int, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        source("realtime_register", serve(answer(status))).acknowledge(["1"])


@pytest.mark.parametrize("slug", ["bookkeep", "govapp"])
def test_who_has_no_acknowledgement_says_so(serve: Serve, answer: Make, source: Build, slug: str) -> None:
    script = serve(answer())

    with pytest.raises(ContractBroken, match="no acknowledgement"):
        source(slug, script).acknowledge(["1"])

    assert script.asked == []


def test_bookkeep_is_asked_for_numbered_pages_newest_first(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("bookkeep/list_empty")))

    list(source("bookkeep", script).pages(Window(START, END)))

    assert script.asked[0].path == ("/base/notifications?page%5Bnumber%5D=1&page%5Bsize%5D=100&sort=-created_at")


def test_bookkeep_s_recorded_pages_are_read_to_the_one_without_a_next_link(
    serve: Serve, answer: Make, source: Build
) -> None:
    def page(handler: Any) -> None:
        number = dict(parse_qsl(urlsplit(handler.path).query))["page[number]"]
        answer(body=recorded(f"bookkeep/list_page{number}"))(handler)

    script = serve(page)
    pages = list(source("bookkeep", script, page_size=3).pages(Window()))

    assert ids(pages) == [str(number) for number in range(101, 109)]
    assert [dict(query(asked))["page[number]"] for asked in script.asked] == ["1", "2", "1", "3", "2"]


def test_bookkeep_s_next_link_decides_without_being_followed(serve: Serve, answer: Make, source: Build) -> None:
    elsewhere = serve(answer())
    first = {"data": [{"id": "1"}], "links": {"next": f"{elsewhere.url}/?page[number]=2"}}
    second = {"data": [{"id": "2"}], "links": {}}
    script = serve(*(answer(body=json.dumps(page).encode()) for page in (first, second, first)))

    assert ids(list(source("bookkeep", script).pages(Window()))) == ["1", "2"]
    assert elsewhere.asked == []


def test_bookkeep_without_links_is_read_to_an_empty_page(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(
        *(answer(body=body) for body in (b'{"data": [{"id": "1"}]}', b'{"data": []}', b'{"data": [{"id": "1"}]}'))
    )

    assert ids(list(source("bookkeep", script).pages(Window()))) == ["1"]


def test_an_organization_is_filtered_by_the_api_and_again_by_us(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("bookkeep/list_page2").replace(b'"next": ', b'"was": ')))

    pages = list(source("bookkeep", script, organization_id=12).pages(Window()))

    assert ("filter[organization_id_eq]", "12") in query(script.asked[0])
    assert ids(pages) == ["105", "106"]


def test_a_row_that_names_no_organization_is_kept(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("bookkeep/list_page3")))

    assert ids(list(source("bookkeep", script, organization_id=12).pages(Window()))) == ["107", "108"]


@pytest.mark.parametrize("body", [b"{}", b'{"data": {}}', b"[]", b""])
def test_a_list_of_the_wrong_shape_is_a_broken_contract_at_bookkeep(
    serve: Serve, answer: Make, source: Build, body: bytes
) -> None:
    with pytest.raises(ContractBroken, match="data"):
        list(source("bookkeep", serve(answer(body=body))).pages(Window()))


def test_bookkeep_fetches_by_id(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("bookkeep/single_vendor")))

    item = source("bookkeep", script).fetch("a/b")

    assert (item and item["id"], script.asked[0].path) == ("1", "/base/notifications/a%2Fb")


@pytest.mark.parametrize(
    ("time_format", "after", "before"),
    [
        ("seconds", "2026-03-01T08:00:00Z", "2026-03-20T12:00:01Z"),
        ("microseconds", "2026-03-01T08:00:00.250000Z", "2026-03-20T12:00:00.750000Z"),
    ],
)
def test_govapp_is_asked_for_the_window_in_the_configured_format(
    serve: Serve, answer: Make, source: Build, time_format: str, after: str, before: str
) -> None:
    script = serve(answer(body=recorded("govapp/list_empty")))

    list(source("govapp", script, time_format=time_format).pages(Window(START, END)))

    assert urlsplit(script.asked[0].path).path == "/base/notifications"
    assert query(script.asked[0]) == [
        ("sentAfter", after),
        ("sentBefore", before),
        ("limit", "100"),
        ("offset", "0"),
    ]


def test_govapp_s_bounds_in_whole_seconds_are_left_as_they_are(serve: Serve, answer: Make, source: Build) -> None:
    script = serve(answer(body=recorded("govapp/list_empty_no_collection")))
    whole = START.replace(microsecond=0)

    pages = list(source("govapp", script).pages(Window(whole, whole + timedelta(seconds=1))))

    assert query(script.asked[0])[:2] == [
        ("sentAfter", "2026-03-01T08:00:00Z"),
        ("sentBefore", "2026-03-01T08:00:01Z"),
    ]
    assert [(page.items, page.last) for page in pages] == [([], True)]


def test_govapp_s_recorded_rows_are_read_with_a_correlation_id_for_each_request(
    serve: Serve, answer: Make, source: Build
) -> None:
    rows = [row for page in (1, 2, 3) for row in json.loads(recorded(f"govapp/list_page{page}"))["notifications"]]

    def page(handler: Any) -> None:
        asked = dict(parse_qsl(urlsplit(handler.path).query))
        body = {"totalAmount": len(rows), "notifications": rows[int(asked["offset"]) :][:3]}
        answer(body=json.dumps(body).encode())(handler)

    script = serve(answer(502), page)
    pages = list(source("govapp", script).pages(Window()))

    correlations = [UUID(asked.headers["x-correlation-id"]) for asked in script.asked]
    assert ids(pages) == [row["id"] for row in rows]
    assert len(set(correlations)) == len(script.asked)


@pytest.mark.parametrize("body", [b"{}", b'{"notifications": {}}', b"[]", b'{"totalAmount": "0"}', b""])
def test_a_list_of_the_wrong_shape_is_a_broken_contract_at_govapp(
    serve: Serve, answer: Make, source: Build, body: bytes
) -> None:
    with pytest.raises(ContractBroken, match="list of notifications"):
        list(source("govapp", serve(answer(body=body))).pages(Window()))


def test_govapp_has_no_get_by_id(serve: Serve, answer: Make, source: Build) -> None:
    with pytest.raises(ContractBroken, match="no get by id"):
        source("govapp", serve(answer())).fetch("5")


@pytest.mark.parametrize(
    ("auth", "authorization"),
    [
        ({"kind": "basic", "username": "user", "password": "the-secret-key"}, "Basic dXNlcjp0aGUtc2VjcmV0LWtleQ=="),
        (
            {"kind": "oauth2", "client_id": "client", "client_secret": "the-secret-key"},
            "Bearer EXAMPLE-TOKEN-NOT-A-SECRET",
        ),
    ],
)
def test_govapp_shows_the_credentials_that_are_configured(
    serve: Serve, answer: Make, source: Build, auth: dict[str, Any], authorization: str
) -> None:
    tokens_at = serve(answer(body=recorded("govapp/token_response")))
    script = serve(answer(body=recorded("govapp/list_empty")))
    if auth["kind"] == "oauth2":
        auth = auth | {"token_url": f"{tokens_at.url}/op/v1/token"}

    list(source("govapp", script, auth=auth).pages(Window()))

    assert script.asked[0].headers["authorization"] == authorization


def test_govapp_signs_with_the_private_key_that_is_configured(serve: Serve, answer: Make, source: Build) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    tokens_at, script = serve(answer(body=recorded("govapp/token_response"))), serve(answer(body=b'{"totalAmount": 0}'))
    auth = {"kind": "oauth2", "token_url": tokens_at.url, "client_id": "client", "private_key": pem, "key_id": "k"}

    list(source("govapp", script, auth=auth | {"assertion_audience": "https://login.example"}).pages(Window()))

    [assertion] = parse_qs(tokens_at.asked[0].body.decode())["client_assertion"]
    claims = jwt.decode(
        assertion, key.public_key(), ["RS256"], audience="https://login.example", options={"verify_exp": False}
    )
    assert claims["iss"] == "client"


@pytest.mark.parametrize(
    ("slug", "row", "external_id"),
    [
        ("realtime_register", {"id": 7}, "7"),
        ("bookkeep", {"id": "8"}, "8"),
        ("govapp", {"id": "nine", "availableUntilDate": "2026-03-20T11:59:59Z"}, "nine"),
    ],
)
def test_each_provider_normalises_by_its_mapping(
    serve: Serve, answer: Make, source: Build, slug: str, row: dict[str, Any], external_id: str
) -> None:
    read = source(slug, serve(answer())).normalise(row, END)

    assert (read.external_id, read.status is Status.EXPIRED) == (external_id, slug == "govapp")


def test_every_provider_stands_under_its_own_slug() -> None:
    assert {slug: provider.slug for slug, provider in PROVIDERS.items()} == {slug: slug for slug in PROVIDERS}
