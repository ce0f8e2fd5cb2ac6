"""A process that is stopped between claim and send (SIGSTOP, a machine that sleeps), and goes on after its claim."""

import socket
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from tests.fakes import FakeClock, FakeSender, answered, item
from tests.integration.spines.line import Line
from worker.delivery import Due
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target


class Stopped(Sender):
    """It claims, is stopped, and goes on when another process has delivered what it claimed."""

    def __init__(self, line: Line, clock: FakeClock, port: int) -> None:
        network, key = ip_network("127.0.0.0/8"), b"0123456789abcdef0123456789abcdef"
        target = Target(name="erp", url=f"http://127.0.0.1:{port}/", secrets=(key,), allow_networks=(network,))
        super().__init__({"erp": target}, "Tocsin/1.2.3", clock)
        self.line, self.time = line, clock
        self.other = FakeSender(clock, lambda _due: answered(200, clock()))

    def begin(self, due: Sequence[Due]) -> list[Due]:
        self.time.turn(minutes=10)
        self.line.deliver(self.other)
        return super().begin(due)


def test_what_another_has_delivered_since_is_not_sent_again(line: Line, clock: FakeClock) -> None:
    line.desk.store(item("the first"))
    with socket.create_server(("127.0.0.1", 0)) as receiver, Stopped(line, clock, receiver.getsockname()[1]) as sender:
        assert line.deliver(sender) == 0
        assert len(sender.other.begun) == 1
        receiver.settimeout(0)
        with pytest.raises(BlockingIOError):
            receiver.accept()
