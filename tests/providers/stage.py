"""One provider of ours before its stand-in, how it is read, and for which providers a promise is made."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from tests.providers.cases import BEGIN, CASES, Case
from worker.errors import ItemRejected
from worker.notification import Notification
from worker.progress import Checkpoint, begin
from worker.provider import Contract, Page, Provider, Window
from worker.providers import PROVIDERS, build
from worker.rest.client import Means
from worker.rest.listing import Way, way
from worker.rest.wire import Limits
from worker.sandbox import HandClock, Sandbox
from worker.sandbox.api import Api
from worker.sandbox.ledger import Row

SLUGS = sorted(PROVIDERS)


def first_window(contract: Contract) -> Window:
    """What the first pass of a source asks for, from the beginning."""
    return begin(contract, Checkpoint(), None, timedelta(), BEGIN).window


MOODS = [(slug, mood) for slug in SLUGS for mood in range(len(CASES[slug].moods))]

LOGINS = [(slug, login) for slug in SLUGS for login in range(len(CASES[slug].logins))]

every_provider = pytest.mark.parametrize("slug", SLUGS)
every_mood = pytest.mark.parametrize(("slug", "mood"), MOODS)
with_fetch = pytest.mark.parametrize("slug", [slug for slug in SLUGS if PROVIDERS[slug].contract.by_id])
without_fetch = pytest.mark.parametrize("slug", [slug for slug in SLUGS if not PROVIDERS[slug].contract.by_id])
with_acknowledge = pytest.mark.parametrize("slug", [slug for slug in SLUGS if PROVIDERS[slug].contract.acknowledges])
without_acknowledge = pytest.mark.parametrize(
    "slug", [slug for slug in SLUGS if not PROVIDERS[slug].contract.acknowledges]
)

BY_POSITION = {Way.PAGES, Way.LINKS}
by_position = pytest.mark.parametrize(
    "slug",
    [
        slug
        for slug in SLUGS
        if PROVIDERS[slug].contract.drifts
        and way(PROVIDERS[slug].contract, first_window(PROVIDERS[slug].contract)) in BY_POSITION
    ],
)


class Stage:
    """One provider of ours before its stand-in in the sandbox, under one clock."""

    def __init__(self, slug: str, sandbox: Sandbox, clock: HandClock, closing: ExitStack) -> None:
        self.slug, self.sandbox, self.clock, self._closing = slug, sandbox, clock, closing
        self.api: Api = sandbox.apis[slug]
        self.case: Case = CASES[slug]
        self.contract = PROVIDERS[slug].contract

    def provider(self, *, page_size: int | None = None, limits: Limits | None = None, **settings: Any) -> Provider:
        """The provider, configured as the sandbox says but for what is given."""
        content = {**self.api.settings(), "page_size": page_size, **settings}
        means = Means(clock=self.clock, sleep=lambda _: None, limits=limits or Limits())
        provider, client = build(PROVIDERS[self.slug].options.model_validate(content), means)
        self._closing.callback(client.close)
        return provider

    def grow(self, count: int, spacing: timedelta = timedelta(minutes=1)) -> list[Row]:
        """So many rows, oldest first."""
        rows = []
        for _ in range(count):
            rows += self.sandbox.publish(1, self.slug)
            self.clock.turn(spacing)
        return rows

    def publish(self, external_id: str, spoil: Callable[[dict[str, Any]], Any]) -> Any:
        """A row that is spoilt before it is published: its raw JSON."""
        (row,) = self.sandbox.publish(1, self.slug)
        self.api.ledger.withdraw(row.external_id)
        raw = spoil(dict(row.raw))
        self.api.ledger.publish(external_id, raw)
        return raw

    def visible(self) -> set[str]:
        """The ids of all rows that the server shows now."""
        return {row.external_id for row in self.api.ledger.visible()}


def read(provider: Provider, window: Window | None = None) -> list[Page]:
    return list(provider.pages(window or Window()))


def notifications(provider: Provider, pages: list[Page], clock: HandClock) -> list[Notification]:
    return [provider.normalise(item, clock.at) for page in pages for item in page.items]


def ids(provider: Provider, pages: Sequence[Page], clock: HandClock) -> set[str]:
    return {found.external_id for found in notifications(provider, list(pages), clock)}


def whole(stage: Stage) -> Window:
    return begin(stage.contract, Checkpoint(), None, timedelta(), stage.clock.at).window


def kept(provider: Provider, item: Any, clock: HandClock) -> Notification | None:
    try:
        return provider.normalise(item, clock.at)
    except ItemRejected:
        return None
