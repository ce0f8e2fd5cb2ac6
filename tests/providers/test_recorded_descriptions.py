"""The providers that come as descriptions, before recorded pages (PROVIDERS, section 4)."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from worker.errors import AuthFailed, ItemRejected
from worker.notification import Notification, Status
from worker.provider import Page, Provider, Validators, Window
from worker.providers import PROVIDERS, build
from worker.rest.client import Means
from worker.sandbox.server import Server
from worker.sandbox.wire import Answer, Request

RECORDINGS = Path(__file__).parents[1] / "recordings"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
SINCE = Window(datetime(2026, 3, 1, tzinfo=UTC))


def recorded(name: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, (RECORDINGS / f"{name}.json").read_bytes(), {"Content-Type": "application/json", **headers})


class Playback:
    """A server that gives recorded answers, one after the other, and what it was asked."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self.answers: list[Answer] = []
        self.asked: list[Request] = []
        self.server = Server(self._next, lambda: NOW)
        self.server.start()
        closing.callback(self.server.stop)

    def _next(self, request: Request) -> Answer:
        self.asked.append(request)
        return self.answers[len(self.asked) - 1]

    def provider(self, slug: str, *answers: Answer, **keys: Any) -> Provider:
        self.answers = list(answers)
        written = {"provider": slug, "base_url": self.server.url, "token": "the-token", **keys}
        provider, client = build(
            PROVIDERS[slug].options.model_validate(written), Means(clock=lambda: NOW, sleep=lambda _: None)
        )
        self._closing.callback(client.close)
        return provider

    def queries(self) -> list[dict[str, str]]:
        return [dict(request.query) for request in self.asked]


@pytest.fixture
def playback() -> Iterator[Playback]:
    with ExitStack() as closing:
        yield Playback(closing)


def ids(pages: list[Page]) -> list[Any]:
    return [item["id"] for page in pages for item in page.items]


def mapped(provider: Provider, name: str, find: Callable[[Any], Any] = lambda body: body) -> list[Notification]:
    return [provider.normalise(item, NOW) for item in find(json.loads((RECORDINGS / f"{name}.json").read_text()))]


def test_github_s_links_are_followed_and_a_vanishing_row_would_be_noticed(playback: Playback) -> None:
    link = '<{}/notifications?all=true&per_page=50&page={}>; rel="next", <x>; rel="last"'
    first = recorded("github/list_page1", Link=link.format(playback.server.url, 2))
    second = recorded("github/list_page2", Link=link.format(playback.server.url, 3))
    provider = playback.provider("github", first, second, first, recorded("github/list_page3"), second)

    pages = list(provider.pages(SINCE))

    assert ids(pages) == ["9120000311", "9120000207", "9120000199", "9120000101", "9119999950"]
    assert [page.last for page in pages] == [False, False, False, False, True]
    assert playback.queries()[0] == {"all": "true", "since": "2026-03-01T00:00:00Z", "per_page": "50"}
    assert [query.get("page") for query in playback.queries()] == [None, "2", None, "3", "2"]
    assert {request.headers["authorization"] for request in playback.asked} == {"Bearer the-token"}


def test_github_s_last_modified_goes_back_as_it_came_and_a_304_is_an_empty_pass(playback: Playback) -> None:
    modified = "Fri, 20 Mar 2026 11:58:02 GMT"
    headers = {"Last-Modified": modified, "X-Poll-Interval": "90"}
    provider = playback.provider("github", recorded("github/list_page3", 200, **headers), Answer(304, b"", headers))

    (page,) = provider.pages(SINCE)
    (again,) = provider.pages(Window(SINCE.start, validators=page.validators))

    assert page.validators == Validators(last_modified=modified)
    assert playback.asked[1].headers["if-modified-since"] == modified
    assert (list(again.items), again.last, again.validators) == ([], True, page.validators)
    assert (page.not_before, again.not_before) == (NOW + timedelta(seconds=90), NOW + timedelta(seconds=90))


def test_github_s_threads_are_mapped(playback: Playback) -> None:
    provider = playback.provider("github")
    (asked, mention) = mapped(provider, "github/list_page1")

    assert (asked.external_id, asked.kind, asked.status) == ("9120000311", "review_requested", Status.NEW)
    assert (mention.status, mention.provider_status) == (Status.READ, "false")
    assert (mention.title, mention.subject_type, mention.reason) == ("Greetings", "Issue", "mention")
    assert mention.occurred_at == datetime(2026, 3, 20, 11, 41, 40, tzinfo=UTC)
    assert mention.read_at == datetime(2026, 3, 20, 11, 50, tzinfo=UTC)
    assert mention.updated_at == mention.occurred_at


def test_stripe_s_events_are_read_back_until_there_are_no_more(playback: Playback) -> None:
    provider = playback.provider("stripe", *(recorded(f"stripe/list_page{number}") for number in (1, 2, 3)))

    pages = list(provider.pages(SINCE))

    assert ids(pages) == [f"evt_1T00000{number}" for number in (5, 4, 3, 2, 1)]
    assert [page.last for page in pages] == [False, False, True]
    assert playback.queries() == [
        {"created[gte]": "1772323200", "limit": "100"},
        {"created[gte]": "1772323200", "limit": "100", "starting_after": "evt_1T000004"},
        {"created[gte]": "1772323200", "limit": "100", "starting_after": "evt_1T000002"},
    ]
    assert pages[-1].newest_id == "evt_1T000004"


def test_stripe_s_events_are_read_on_from_the_last_id(playback: Playback) -> None:
    provider = playback.provider("stripe", recorded("stripe/list_newer"), overlap="0s")

    (page,) = provider.pages(Window(SINCE.start, after_id="evt_1T000003"))

    assert (ids([page]), page.newest_id) == (["evt_1T000004", "evt_1T000005"], "evt_1T000005")
    assert playback.queries() == [{"limit": "100", "ending_before": "evt_1T000003"}]


@pytest.mark.parametrize(
    ("start", "asked"),
    [
        (NOW - timedelta(days=29), ["ending_before", "created[gte]"]),
        (NOW - timedelta(days=31), ["created[gte]"]),
    ],
)
def test_an_id_that_stripe_has_no_longer_is_replaced_by_the_time(
    playback: Playback, start: datetime, asked: list[str]
) -> None:
    refusal = recorded("stripe/error_400_no_such_event", 400)
    answers = [refusal, recorded("stripe/list_page3")][-len(asked) :]
    provider = playback.provider("stripe", *answers)

    pages = list(provider.pages(Window(start, after_id="evt_1T000000")))

    assert ids(pages) == ["evt_1T000001"]
    assert [
        name for query in playback.queries() for name in query if name in {"ending_before", "created[gte]"}
    ] == asked


def test_stripe_s_events_are_mapped(playback: Playback) -> None:
    provider = playback.provider("stripe")
    (paid, succeeded) = mapped(provider, "stripe/list_page1", lambda body: body["data"])

    assert (succeeded.kind, succeeded.subject_type, succeeded.subject_id) == ("charge.succeeded", "charge", "ch_B")
    assert (succeeded.occurred_at, succeeded.correlation_id) == (datetime.fromtimestamp(1774003000, UTC), "req_3")
    assert (paid.correlation_id, paid.status) == (None, Status.NEW)
    assert PROVIDERS["stripe"].contract.volatile == {"pending_webhooks"}


def test_a_volatile_member_that_is_nested_too_deeply_makes_it_no_item(playback: Playback) -> None:
    provider = playback.provider("stripe")
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    row = {**json.loads(recorded("stripe/list_page1").body)["data"][0], "pending_webhooks": deep}

    with pytest.raises(ItemRejected):
        provider.complete(provider.outline(row, NOW), NOW)


def test_mastodon_s_ids_are_numbers_and_an_empty_page_is_the_end(playback: Playback) -> None:
    names = ("mastodon/list_page1", "mastodon/list_page2", "mastodon/list_empty")
    provider = playback.provider("mastodon", *(recorded(name) for name in names), overlap="0s")

    pages = list(provider.pages(Window()))

    assert ids(pages) == ["99", "100", "999", "1005"]
    assert [query["min_id"] for query in playback.queries()] == ["0", "100", "1005"]
    assert [page.newest_id for page in pages] == ["100", "1005", "1005"]


def test_mastodon_s_notifications_are_mapped(playback: Playback) -> None:
    provider = playback.provider("mastodon")
    (mention, follow) = mapped(provider, "mastodon/list_page1")

    assert (mention.kind, mention.title) == ("mention", "mention from alice@social.example")
    assert mention.message == "@me look: this & that\nsecond line"
    assert (mention.subject_type, mention.subject_id) == ("status", "114190000000000007")
    assert (follow.subject_type, follow.subject_id, follow.message) == ("account", "12", None)
    assert mention.occurred_at == datetime(2026, 3, 20, 11, 0, 0, 412_000, tzinfo=UTC)


@pytest.mark.parametrize("slug", ["github", "stripe", "mastodon"])
def test_a_recorded_refusal_is_told_in_the_provider_s_own_words(playback: Playback, slug: str) -> None:
    with pytest.raises(AuthFailed) as caught:
        list(playback.provider(slug, recorded(f"{slug}/error_401", 401)).pages(Window()))

    assert caught.value.detail.startswith("It answered 401: ")
