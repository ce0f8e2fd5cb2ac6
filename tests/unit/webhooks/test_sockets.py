"""Sockets that are watched: with epoll, and with what other systems have."""

import os
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


def test_what_was_forgotten_may_be_watched_again(sockets: Sockets[str], pair: Pair) -> None:
    ours, theirs = pair
    sockets.watch(ours.fileno(), READ, "erp")
    sockets.forget(ours.fileno())
    sockets.watch(ours.fileno(), READ | WRITE, "crm")
    theirs.send(b"x")
    assert list(sockets.ready(5)) == [("crm", ours.fileno(), READ | WRITE)]


def test_one_that_was_forgotten_and_closed_may_come_back_as_another(sockets: Sockets[str], pair: Pair) -> None:
    gone, gone_too = socket.socketpair()
    fd = gone.fileno()
    sockets.watch(fd, READ, "erp")
    sockets.forget(fd)
    gone.close()
    gone_too.close()
    ours, theirs = pair
    os.dup2(ours.fileno(), fd)
    try:
        sockets.watch(fd, READ, "crm")
        theirs.send(b"x")
        assert list(sockets.ready(5)) == [("crm", fd, READ)]
    finally:
        os.close(fd)


def test_what_comes_for_nobody_is_looked_at_once(sockets: Sockets[str], pair: Pair) -> None:
    ours, theirs = pair
    sockets.watch(ours.fileno(), READ, "erp")
    sockets.forget(ours.fileno())
    theirs.send(b"x")
    looks = [list(sockets.ready(5)), list(sockets.ready(0.001))]
    sockets.watch(ours.fileno(), READ, "erp")
    assert [*looks, list(sockets.ready(5))] == [[], [], [("erp", ours.fileno(), READ)]]
