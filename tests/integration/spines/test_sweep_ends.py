"""A sweep under a worker's child process must end some day, and nobody waits for that (DELIVERY, section 1)."""

from datetime import timedelta

import pytest

from tests.fakes import FakeClock, FakeSender, answered, item
from tests.integration.spines.line import Line
from worker.delivery import Due, Outcome


class Hanging(FakeSender):
    """What goes to `erp` stays open for so many looks; to others, nothing does. At each look one more item comes."""

    def __init__(self, line: Line, clock: FakeClock, looks: int) -> None:
        super().__init__(clock, lambda _due: answered(200, clock()))
        self.line, self.looks, self.looked = line, looks, 0

    def finished(self, _wait: timedelta) -> list[tuple[Due, Outcome]]:
        self.looked += 1
        self.line.desk.store(item(f"look {self.looked}"))
        hung = [due for due in self._open if due.endpoint == "erp"] if self.looked < self.looks else []
        ended, self._open = [due for due in self._open if due not in hung], hung
        return [(due, self.answers(due)) for due in ended]

    def begun_to(self, endpoint: str) -> int:
        return len([due for due in self.begun if due.endpoint == endpoint])


@pytest.fixture
def two(line: Line) -> Line:
    """A line with two endpoints, of which `erp` hangs."""
    line.desk.endpoint("crm")
    line.desk.store(item("the first"))
    return line


def test_while_a_hanging_request_ends_others_go_on(two: Line, clock: FakeClock) -> None:
    sender = Hanging(two, clock, looks=20)
    two.deliver(sender, is_ending=lambda: sender.looked >= 1)
    assert (sender.begun_to("crm"), sender.begun_to("erp")) == (20, 1)


def test_whoever_hangs_gets_no_more_and_the_sweep_ends(two: Line, clock: FakeClock) -> None:
    sender = Hanging(two, clock, looks=5)
    assert two.deliver(sender, is_ending=lambda: sender.looked >= 1) == 1 + sender.begun_to("crm")
    assert (sender.open, sender.looked) == (0, 5 + 1 - 1)


def test_a_sweep_that_has_nothing_of_before_left_open_begins_no_more(two: Line, clock: FakeClock) -> None:
    sender = FakeSender(clock, lambda _due: answered(200, clock()))
    two.desk.limits.pop("erp")
    assert two.deliver(sender, is_ending=lambda: bool(sender.begun)) == 1
    assert (sender.open, len(two.desk.claim())) == (0, 0)


def test_a_sweep_whose_time_is_up_begins_nothing(two: Line, clock: FakeClock) -> None:
    sender = FakeSender(clock, lambda _due: answered(200, clock()))
    assert two.deliver(sender, is_ending=lambda: True) == 0
    assert sender.begun == []


def test_a_process_that_stops_begins_nothing_even_while_others_hang(two: Line, clock: FakeClock) -> None:
    sender = Hanging(two, clock, looks=5)
    two.deliver(sender, may_begin=lambda: sender.looked < 2, is_ending=lambda: sender.looked >= 1)
    assert (sender.begun_to("crm"), sender.open) == (2, 0)
