from typing import Any

import pytest

from worker.notification import Status
from worker.settings.described import DescribedSource

ACME = """
[providers.acme]
base_url = "https://api.acme.example/v1"
items = "data"
id = "id"
page = { kind = "offset", offset = "offset", size = "limit", ask = 100 }
time = { from = "sentAfter", to = "sentBefore", field = "createdOn", order = "unknown", format = "rfc3339" }
by_id = "/notifications/{id}"
closed = ["resolved", "ignored"]
path = "/notifications"
[providers.acme.map]
kind = "type"
message = "text"
status = { path = "state", values = { open = "new", done = "resolved" } }
occurred_at = "createdOn"
"""
SOURCE = '\n[sources.a]\nprovider = "acme"\n'


def described(**keys: str) -> str:
    """A short description, with these keys written so, or left out where they are empty."""
    written = {"path": "'/n'", "id": "'id'", "page": "{ kind = 'none' }", "base_url": "'https://h/'"} | keys
    return "[providers.acme]\n" + "\n".join(f"{name} = {value}" for name, value in written.items() if value) + "\n"


def test_the_specification_s_example_is_a_description(desk: Any) -> None:
    found = desk.read(ACME + SOURCE + 'token = { env = "ACME_TOKEN" }')

    acme, source = found.providers["acme"], found.sources["a"]
    assert (acme.page.kind, acme.page.ask, acme.time.from_) == ("offset", 100, "sentAfter")
    assert acme.map.status.values == {"open": Status.NEW, "done": Status.RESOLVED}
    assert isinstance(source, DescribedSource)
    assert (source.token and source.token.get_secret_value(), type(source).description) == ("k-acme", acme)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"id": ""}, "id: this key is needed"),
        ({"path": ""}, "path: this key is needed"),
        ({"page": ""}, "page: this key is needed"),
        ({"pth": "'x'"}, 'pth: unknown key; did you mean "path"?'),
        ({"id": "'a b'"}, 'id: "a b" is not a JMESPath expression'),
        ({"items": "''"}, 'items: "" is not a JMESPath expression'),
        ({"items": "'fold(a)'"}, 'items: "fold(a)" calls fold(), which JMESPath doesn\'t have'),
        ({"map": "{ kind = '[' }"}, 'map.kind: "[" is not a JMESPath expression'),
        ({"map": "{ knd = 'a' }"}, 'map.knd: unknown key; did you mean "kind"?'),
        ({"path": "'/a b'"}, 'path: "/a b" is not a path; write /notifications, and what follows a ? under parameters'),
        ({"path": "'/n/{id}'"}, 'path: "/n/{id}" has a place to fill in; only by_id has one'),
        ({"by_id": "'/n/{name}'"}, 'by_id: "/n/{name}" has no place for the id; write /notifications/{id}'),
        ({"by_id": "'/n/{'"}, 'by_id: "/n/{" has no place for the id; write /notifications/{id}'),
        ({"closed": "['done']"}, "closed[0]: "),
        ({"map": "{ status = { path = 'a', values = { x = 'done' } } }"}, "map.status.values.x: "),
        ({"keep_for": "'long'"}, 'keep_for: "long" is not a duration; write 30s, 5m, 2h or 7d'),
        (
            {"page": "{ kind = 'pages' }"},
            'page.kind: "pages" is not possible; write "offset", "page_number", "link", "cursor" or "none"',
        ),
        ({"page": "{ kind = 'offset', limit = 'a' }"}, "page.limit: unknown key"),
        ({"page": "{ kind = 'cursor' }"}, "page: write cursor and next, or after; one of the two"),
        ({"page": "{ kind = 'cursor', cursor = 'c' }"}, "page.cursor: write cursor and next, or after; one of the two"),
        (
            {"page": "{ kind = 'cursor', cursor = 'c', next = 'n', first = '0' }"},
            "page.cursor: before and first belong to after",
        ),
        (
            {"page": "{ kind = 'none', size = 'limit' }"},
            ": a list of one page of a limited size can't be read to its end",
        ),
        ({"time": "{ from = 'since' }"}, "time.field: this key is needed"),
        (
            {"time": "{ field = 'at', order = 'down' }"},
            'time.order: "down" is not possible; write "oldest_first", "newest_first" or "unknown"',
        ),
        (
            {"parameters": "{ page = 1 }", "page": "{ kind = 'page_number' }"},
            ": parameters.page is set for every page and can't be set here",
        ),
        (
            {"page": "{ kind = 'offset', offset = 'n', size = 'n' }"},
            'page.offset: size and offset are both "n"; a request has each parameter once',
        ),
        (
            {"page": "{ kind = 'page_number', number = 'p', size = 'p' }"},
            'page: size and number are both "p"; a request has each parameter once',
        ),
        ({"page": "{ kind = 'page_number', size = 'page' }"}, 'page: size and number are both "page"; '),
        ({"page": "{ kind = 'cursor', after = 'a', before = 'a' }"}, 'page: after and before are both "a"; '),
        ({"time": "{ field = 'at', from = 't', to = 't' }"}, 'time: from and to are both "t"; '),
        (
            {"page": "{ kind = 'offset', offset = 't' }", "time": "{ field = 'at', from = 't' }"},
            ': page.offset and time.from are both "t"; a request has each parameter once',
        ),
        ({"auth": "{ kind = 'bearer', header = 'X-Key' }"}, 'auth: header and prefix belong to kind = "header"'),
        ({"auth": "{ kind = 'digest' }"}, 'auth.kind: "digest" is not possible; write "bearer", "header" or "basic"'),
    ],
)
def test_what_is_wrong_with_a_description_is_one_line(desk: Any, keys: dict[str, str], expected: str) -> None:
    (found,) = desk.problems(described(**keys))

    assert found.startswith(f"providers.acme{'' if expected.startswith(':') else '.'}{expected}")


def test_all_that_is_wrong_is_told_at_once_and_no_source_is_blamed_for_it(desk: Any) -> None:
    found = desk.problems(described(id="''", closed="['done']") + SOURCE + 'every = "x"')

    assert [line.split(": ")[0] for line in found] == [
        "providers.acme.id",
        "providers.acme.closed[0]",
        "sources.a.every",
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"page": "{ kind = 'none', size = 'limit' }"},
            (
                ": a list of one page of a limited size can't be read to its end; it needs time.from and time.to, "
                'or time.from with order = "oldest_first"'
            ),
        ),
        (
            {"page": "{ kind = 'page_number' }", "parameters": "{ page = 1 }"},
            ": parameters.page is set for every page and can't be set here",
        ),
        (
            {"page": "{ kind = 'link', size = 't' }", "time": "{ field = 'at', to = 't' }"},
            ': page.size and time.to are both "t"; a request has each parameter once',
        ),
    ],
)
def test_what_does_not_go_together_is_told_beside_what_is_wrong_by_itself(
    desk: Any, keys: dict[str, str], expected: str
) -> None:
    found = desk.problems(described(id="''", **keys))

    assert found == ('providers.acme.id: "" is not a JMESPath expression', f"providers.acme{expected}")


def test_what_is_wrong_with_paging_is_told_once(desk: Any) -> None:
    found = desk.problems(described(id="''", page="{ kind = 'offset', limit = 'a' }"))

    assert sorted(line.split(": ")[0] for line in found) == ["providers.acme.id", "providers.acme.page.limit"]


def test_a_provider_that_is_known_already_is_not_described_again(desk: Any) -> None:
    found = desk.problems(described().replace("acme", "bookkeep"))

    assert found == ("providers.bookkeep: Tocsin knows a provider of that name already; give yours another",)


@pytest.mark.parametrize(
    ("auth", "keys", "expected"),
    [
        ("{ kind = 'bearer' }", "", "token: this key is needed"),
        ("{ kind = 'header', header = 'X-Key' }", "", "token: this key is needed"),
        ("{ kind = 'basic' }", "username = 'u'", "password: this key is needed"),
        (
            "{ kind = 'basic' }",
            "username = 'u'\npassword = 'p'\ntoken = 't'",
            "token: the provider is shown username and password",
        ),
        ("{ kind = 'bearer' }", "username = 'u'\ntoken = 't'", "username: the provider is shown token"),
        ("", "username = 'u'", "password: this key is needed"),
        ("", "username = 'u'\npassword = 'p'\ntoken = 't'", "password: write token, or username and password"),
        ("", "password = 'p'", "password: it belongs to a username"),
        ("", "tokn = 't'", 'tokn: unknown key; did you mean "token"?'),
    ],
)
def test_a_source_has_the_credentials_that_the_description_asks_for(
    desk: Any, auth: str, keys: str, expected: str
) -> None:
    assert desk.problems(described(auth=auth) + SOURCE + keys) == (f"sources.a.{expected}",)


def test_a_source_names_the_address_where_the_description_names_none(desk: Any) -> None:
    assert desk.problems(described(base_url="") + SOURCE) == ("sources.a.base_url: this key is needed",)


def test_a_source_of_an_unknown_provider_is_told_of_those_that_are_described(desk: Any) -> None:
    (found,) = desk.problems(described() + SOURCE.replace('"acme"', '"acne"'))

    assert found == (
        'sources.a.provider: "acne" is not a provider; known: acme, bookkeep, govapp, mastodon, realtime_register'
    )


def test_no_credential_is_shown(desk: Any) -> None:
    shown = desk.shown(described() + SOURCE + 'token = { env = "ACME_TOKEN" }', {"ACME_TOKEN": "the-secret"})

    assert "the-secret" not in shown
