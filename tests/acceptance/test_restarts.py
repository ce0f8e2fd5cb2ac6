"""A run with restarts, from publishing to arrival (INTERFACE, section 4)."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.acceptance.processes import Tocsin
from tests.servers import wait_until
from tests.traffic import publishing
from worker.sandbox import PATH, Mix, Received, Sandbox, broken_promises

_PER_SECOND = 30
_RUNS = 3
_A_RUN = 40
_IN_TIME = timedelta(seconds=30)
_MIX = Mix(lateness=timedelta(milliseconds=700))
_AT_ONCE_S = 5.0
_BOOKS, _SOLVED = "/books", "/solved"


@pytest.fixture
def wanting(tocsin: Tocsin) -> Tocsin:
    """Three endpoints: one wants all, one a source, one some kinds that are resolved."""
    receiver = tocsin.sandbox.receiver
    all_of_it = tocsin.sandbox.endpoints()["sandbox"]
    filters: dict[str, dict[str, Any]] = {
        _BOOKS: {"sources": ["bookkeep"]},
        _SOLVED: {"statuses": ["resolved", "ignored"], "kinds": ["*Domain*", "failed_*"]},
    }
    endpoints = {
        path.strip("/"): {**all_of_it, "secret": receiver.open(path), "url": receiver.url(path), **wants}
        for path, wants in filters.items()
    }
    sources = {name: {**source, "every": "1s"} for name, source in tocsin.sandbox.sources().items()}
    tocsin.write({}, {"sources": sources, "endpoints": {"all": all_of_it, **endpoints}})
    return tocsin


@pytest.fixture
def lived_through(wanting: Tocsin) -> Sandbox:
    """The sandbox after four runs, each stopped in the midst of things, and a fifth that brought the rest."""
    sandbox = wanting.sandbox
    with publishing(sandbox, _MIX, _PER_SECOND):
        for number in range(1, _RUNS + 1):
            with wanting.run() as run:
                arrives(sandbox, number * _A_RUN)
                assert run.stopped() == 0
    with wanting.run() as run:
        run.until(lambda: not hidden(sandbox) and not sandbox.broken_promises(), "everything has arrived")
        run.until(lambda: not pending(wanting), "every endpoint has all")
        assert run.stopped() == 0
    return sandbox


def arrives(sandbox: Sandbox, count: int) -> None:
    assert sandbox.receiver.wait_until(lambda received: len(received) >= count, _IN_TIME)


def hidden(sandbox: Sandbox) -> bool:
    """Whether there are rows that the providers don't show yet."""
    return any(len(api.ledger.visible()) < len(api.ledger.all()) for api in sandbox.apis.values())


def pending(tocsin: Tocsin) -> bool:
    return any(row["pending"] for row in tocsin.ask("endpoints", "list"))


def bodies(received: list[Received], wanted: Callable[[Any], bool] = lambda _: True) -> list[tuple[str, bytes]]:
    return [(one.webhook_id, one.body) for one in received if wanted(one.content["data"])]


def is_solved(told: Any) -> bool:
    kind = told["kind"] or ""
    return told["status"] in {"resolved", "ignored"} and (
        fnmatchcase(kind, "*Domain*") or fnmatchcase(kind, "failed_*")
    )


def test_whatever_was_published_arrives_exactly_once_over_a_run_with_restarts(
    lived_through: Sandbox, wanting: Tocsin
) -> None:
    tally = lived_through.tally()
    arrived = lived_through.receiver.received(PATH)

    assert lived_through.broken_promises() == []
    assert (0, tally.revisions) == (tally.duplicates, tally.attempts)
    assert tally.rows == tally.notifications >= _A_RUN
    assert {"new", "read", "resolved"} <= {one.content["data"]["status"] for one in arrived}
    endpoint_with_a_source(lived_through)
    endpoint_with_kinds_and_statuses(lived_through)
    polling_again_sends_nothing(wanting)


def endpoint_with_a_source(sandbox: Sandbox) -> None:
    arrived = sandbox.receiver.received(_BOOKS)
    expected = bodies(sandbox.receiver.received(PATH), lambda told: told["source"] == "bookkeep")

    assert broken_promises({"bookkeep": sandbox.published()["bookkeep"]}, arrived) == []
    assert sorted(expected) == sorted(bodies(arrived))


def endpoint_with_kinds_and_statuses(sandbox: Sandbox) -> None:
    expected = bodies(sandbox.receiver.received(PATH), is_solved)

    assert expected
    assert sorted(expected) == sorted(bodies(sandbox.receiver.received(_SOLVED)))


def polling_again_sends_nothing(tocsin: Tocsin) -> None:
    sandbox = tocsin.sandbox
    before = len(sandbox.receiver.received())
    asked = {slug: len(api.requests) for slug, api in sandbox.apis.items()}

    (summary,) = tocsin.ask("poll", "bookkeep")
    with tocsin.run() as run:
        run.until(
            lambda: all(len(api.requests) > asked[slug] + 1 for slug, api in sandbox.apis.items()), "all are asked"
        )
        assert run.stopped() == 0

    assert (summary["new"], summary["changed"], summary["rejected"]) == (0, 0, 0)
    assert before == len(sandbox.receiver.received())


def test_a_poll_that_was_on_its_way_when_the_process_ended_is_sent_again_at_once(tocsin: Tocsin) -> None:
    registrar = tocsin.sandbox.realtime_register
    with closing(tocsin.house()) as home:
        assert home.due_sources(registrar.slug) == [registrar.slug]
        assert home.due_sources(registrar.slug) == []

    with tocsin.run() as run:
        wait_until(lambda: bool(registrar.requests), _AT_ONCE_S)
        assert run.stopped() == 0
