"""Sockets that are watched: with epoll, and with what other systems have."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from worker.webhooks.sockets import READ, WRITE, Sockets


@pytest.fixture(params=[True, False], ids=["poll", "epoll"])
def sockets(request: pytest.FixtureRequest) -> Iterator[Sockets[str]]:
    with closing(Sockets[str](poll=request.param)) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


def test_a_socket_is_ready_for_its_owner_alone(sockets: Sockets[str], pair: Pair) -> None:
    ours, theirs = pair
    sockets.watch(ours.fileno(), READ, "erp")
    sockets.watch(theirs.fileno(), READ, "crm")
    theirs.send(b"x")
    assert list(sockets.ready(5)) == [("erp", ours.fileno(), READ)]


def test_nothing_is_ready_when_the_time_is_over(sockets: Sockets[str], pair: Pair) -> None:
    sockets.watch(pair[0].fileno(), READ, "erp")
    assert list(sockets.ready(0.001)) == []


def test_what_is_watched_for_may_change(sockets: Sockets[str], pair: Pair) -> None:
    ours, theirs = pair
    sockets.watch(ours.fileno(), READ, "erp")
    sockets.watch(ours.fileno(), WRITE, "erp")
    theirs.send(b"x")
    assert list(sockets.ready(5)) == [("erp", ours.fileno(), WRITE)]


def test_what_is_forgotten_is_ready_no_more(sockets: Sockets[str], pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    for one in pair:
        sockets.watch(one.fileno(), READ | WRITE, "erp")
    found = sockets.ready(5)
    assert [one[:2] for one in [next(found)]] == [("erp", ours.fileno())]
    sockets.forget(theirs.fileno())
    assert list(found) == []


def test_a_socket_whose_other_end_is_gone_is_ready_for_both(sockets: Sockets[str], pair: Pair) -> None:
    ours, theirs = pair
    sockets.watch(ours.fileno(), READ, "erp")
    theirs.close()
    assert list(sockets.ready(5)) == [("erp", ours.fileno(), READ | WRITE)]
