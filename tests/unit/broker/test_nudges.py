"""Nudges while a poll goes on: soon, now and then, and not through a broker that is away."""

from contextlib import closing
from dataclasses import dataclass, field

import pytest
from kombu.exceptions import OperationalError

from worker.broker.nudges import Nudges


@dataclass
class Broker:
    """Takes nudges at instants of a clock that is turned; hangs for four seconds when it is `away`."""

    away: bool = False
    seconds: float = 0.0
    asked_at: list[float] = field(default_factory=list)

    def send(self) -> None:
        self.asked_at.append(self.seconds)
        if self.away:
            self.seconds += 4
            raise OperationalError("it hangs")

    def pages(self, *at: float) -> None:
        """A poll whose pages come at these instants, if nothing keeps it waiting, and that ends with the last."""
        with closing(Nudges(self.send, lambda: self.seconds)) as nudges:
            for second in at:
                self.seconds = max(self.seconds, second)
                nudges.owe()


@pytest.mark.parametrize(
    ("pages", "nudges"),
    [
        ([], []),
        ([0], [0]),
        ([0, 0.2, 0.4], [0, 0.4]),
        ([0, 1, 2], [0, 1, 2]),
        ([0, 0.5, 1.2, 1.5], [0, 1.2, 1.5]),
    ],
)
def test_the_first_is_sent_at_once_then_one_a_second_and_one_at_the_end(
    pages: list[float], nudges: list[float]
) -> None:
    broker = Broker()
    broker.pages(*pages)
    assert broker.asked_at == nudges


def test_a_broker_that_hangs_is_waited_for_once_in_a_poll() -> None:
    broker = Broker(away=True)
    broker.pages(*range(30))
    assert (broker.asked_at, broker.seconds) == ([0], 29)


def test_a_broker_that_hangs_at_the_end_is_waited_for_once_there() -> None:
    broker = Broker()
    with closing(Nudges(broker.send, lambda: broker.seconds)) as nudges:
        nudges.owe()
        broker.away = True
        nudges.owe()
    assert broker.asked_at == [0, 0]


def test_the_next_poll_tries_it_again() -> None:
    broker = Broker(away=True)
    broker.pages(0)
    broker.away = False
    broker.pages(10)
    assert broker.asked_at == [0, 10]
