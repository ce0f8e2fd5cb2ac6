"""A process killed (-9) at any point of its work (INTERFACE, section 5)."""

import signal
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from tests.acceptance.processes import Tocsin
from worker.sandbox import PATH, Answer, Hang
from worker.store import shown
from worker.store.shown import Filter

_ROWS, _A_PAGE = 5, 2
_AHEAD = "2"
"""Minutes by which whoever comes after is later: every lease has ended."""
_IN_TIME = timedelta(seconds=20)

_NOTHING_OPEN = (
    ("sqlite", "page fetched"),
    ("sqlite", "page about to be committed"),
    ("sqlite", "page committed"),
    ("sqlite", "claim about to be committed"),
    ("sqlite", "claim committed"),
    ("sqlite", "outcome committed"),
    ("postgresql", "page about to be committed"),
    ("postgresql", "claim committed"),
)
_ONE_OPEN = (
    ("sqlite", "request answered"),
    ("sqlite", "outcome about to be committed"),
    ("postgresql", "outcome about to be committed"),
)


@pytest.fixture
def doomed(tocsin: Tocsin, database_url: str) -> Tocsin:
    """One request at a time, and pages of two rows, so that each point is reached more than once."""
    sandbox = tocsin.sandbox
    sources = {name: {**source, "every": "5m"} for name, source in sandbox.sources().items()}
    endpoints = {"sandbox": {**sandbox.endpoints()["sandbox"], "max_in_flight": 1}}
    tocsin.write({}, {"sources": sources, "endpoints": endpoints})
    tocsin.environ |= {"TOCSIN_DATABASE": database_url, "TOCSIN_KEY": Fernet.generate_key().decode()}
    for api in sandbox.apis.values():
        api.faults.cap(_A_PAGE)
    return tocsin


def dies(tocsin: Tocsin, point: str, source: str) -> None:
    with tocsin.script("dies_at.py", point, source) as process:
        assert process.ended() == -signal.SIGKILL, process.stderr


def goes_on(tocsin: Tocsin, source: str) -> None:
    with tocsin.script("dies_at.py", "never", source, _AHEAD) as process:
        assert process.ended() == 0, process.stderr


def arrivals(tocsin: Tocsin) -> Counter[str]:
    """How often each message arrived, in the order in which they first did."""
    return Counter(one.webhook_id for one in tocsin.sandbox.receiver.received(PATH))


def everything_is_as_promised(tocsin: Tocsin) -> None:
    with closing(tocsin.house()) as home, home.database.reading() as session:
        deliveries = shown.deliveries(session, Filter())

    assert tocsin.sandbox.broken_promises() == []
    assert {"delivered"} == {row["status"] for row in deliveries}
    assert set(arrivals(tocsin)) == {row["message_id"] for row in deliveries}


@pytest.mark.parametrize(("database_url", "point"), _NOTHING_OPEN, indirect=["database_url"])
def test_killed_with_no_request_open_nothing_is_lost_and_nothing_sent_twice(doomed: Tocsin, point: str) -> None:
    source = doomed.sandbox.realtime_register.slug
    doomed.sandbox.publish(_ROWS, source)

    dies(doomed, point, source)
    goes_on(doomed, source)

    assert [1] * _ROWS == list(arrivals(doomed).values())
    everything_is_as_promised(doomed)


@pytest.mark.parametrize(("database_url", "point"), _ONE_OPEN, indirect=["database_url"])
def test_killed_with_a_request_open_only_that_one_is_sent_again(doomed: Tocsin, point: str) -> None:
    source = doomed.sandbox.bookkeep.slug
    doomed.sandbox.publish(_ROWS, source)

    dies(doomed, point, source)
    assert [1, 1] == list(arrivals(doomed).values())
    goes_on(doomed, source)

    assert [1, 2, 1, 1, 1] == list(arrivals(doomed).values())
    everything_is_as_promised(doomed)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_killed_while_a_receiver_thinks_only_that_request_is_sent_again(doomed: Tocsin) -> None:
    source, receiver = doomed.sandbox.govapp.slug, doomed.sandbox.receiver
    doomed.sandbox.publish(_ROWS, source)
    receiver.script(PATH, Answer(204), Hang())

    with doomed.script("dies_at.py", "never", source) as process:
        assert receiver.wait_until(lambda received: len(received) == 2, _IN_TIME)  # the one that hangs
        assert process.stopped(signal.SIGKILL) == -signal.SIGKILL
    goes_on(doomed, source)

    assert [1, 2, 1, 1, 1] == list(arrivals(doomed).values())
    everything_is_as_promised(doomed)
