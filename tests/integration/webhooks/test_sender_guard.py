"""Addresses that are not public: nothing is sent to them, however they are spelled."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from tests.integration.webhooks.receivers import Receiver, answering
from tests.integration.webhooks.sending import all_finished, due, outcome_of, sender, target
from worker.delivery import Wire

Receive = Callable[..., Receiver]
SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0.0.0.0",  # noqa: S104  # an address to be refused
    "0",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[::]",
    "localhost",
    "LOCALHOST.",
    "receiver.localhost",
    "１２７.0.0.1",  # noqa: RUF001  # digits that become plain ones
    "127。0。0。1",
    "user:password@127.0.0.1",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_loopback_is_blocked_however_it_is_spelled(receive: Receive, host: str) -> None:
    receiver = receive(answering(200))
    outcome = outcome_of(f"http://{host}:{receiver.port}/", allow_networks=())
    assert [outcome.wire, outcome.status_code, receiver.connections] == [Wire.BLOCKED, None, 0]


@pytest.mark.parametrize("host", ["[::1]", "localhost"])
def test_loopback_is_blocked_in_ipv6(receive: Receive, host: str) -> None:
    receiver = receive(answering(200), address="::1")
    outcome = outcome_of(f"http://{host}:{receiver.port}/", allow_networks=())
    assert [outcome.wire, receiver.connections] == [Wire.BLOCKED, 0]


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fec0::1]", "[fd00::1]", "224.1"]
)
def test_other_addresses_that_are_not_public_are_blocked(host: str) -> None:
    assert outcome_of(f"http://{host}/", allow_networks=()).wire is Wire.BLOCKED


def test_an_allowed_network_is_reached(receive: Receive) -> None:
    outcome = outcome_of(receive(answering(204)).url, allow_networks=(ip_network("127.0.0.1/32"),))
    assert outcome.status_code == 204


def test_of_a_names_addresses_only_the_allowed_are_tried(receive: Receive) -> None:
    receiver, forbidden = receive(answering(204)), receive(answering(200), address="::1")
    url = f"http://localhost:{receiver.port}/"
    assert outcome_of(url, allow_networks=(ip_network("127.0.0.0/8"),)).status_code == 204
    assert forbidden.connections == 0


def test_an_open_connection_is_not_borrowed_by_an_endpoint_that_may_not_open_it(receive: Receive) -> None:
    receiver = receive(answering(204))
    targets = {"inside": target(receiver.url), "outside": target(receiver.url, allow_networks=())}
    with sender(targets) as sending:
        for name, wire in (("inside", Wire.ANSWERED), ("outside", Wire.BLOCKED), ("inside", Wire.ANSWERED)):
            sending.begin([due(name)])
            [(_, outcome)] = all_finished(sending)
            assert outcome.wire is wire
    assert len(receiver.requests) == 2


def test_a_blocked_endpoint_stays_blocked(receive: Receive) -> None:
    receiver = receive(answering(204))
    with sender({"erp": target(receiver.url, allow_networks=())}) as sending:
        for _ in range(3):
            sending.begin([due()])
            [(_, outcome)] = all_finished(sending)
            assert outcome.wire is Wire.BLOCKED
    assert receiver.connections == 0
