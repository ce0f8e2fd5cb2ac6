"""What is said of a database that is away: once when it begins, now and then, once when it is over."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from worker.errors import ConfigurationError
from worker.outage import Outage

_AWAY = OperationalError("SELECT secret", {}, Exception("connection refused\nIs the server running?"))


@dataclass
class Process:
    """Tasks that meet a database, by a clock that is turned."""

    said: list[dict[str, object]]
    seconds: float = 0.0
    outage: Outage = field(init=False)

    def __post_init__(self) -> None:
        self.outage = Outage(lambda: self.seconds)

    def fails(self, error: Exception = _AWAY) -> None:
        with self.outage.survived("poll.tick", proof=True):
            raise error

    def goes_well(self, *, proof: bool = True) -> None:
        with self.outage.survived("poll.tick", proof=proof):
            pass

    @property
    def events(self) -> list[object]:
        return [line["event"] for line in self.said]


@pytest.fixture
def process() -> Iterator[Process]:
    with capture_logs() as said:
        yield Process(said)  # type: ignore[arg-type]  # its lines are mappings


def test_trouble_is_one_line_in_the_databases_words(process: Process) -> None:
    process.fails()
    expected = {"event": "database.trouble", "task": "poll.tick", "reason": "connection refused", "log_level": "error"}
    assert [expected] == process.said


def test_it_is_said_again_only_after_a_while(process: Process) -> None:
    for process.seconds in range(65):
        process.fails()
    assert ["database.trouble"] * 3 == process.events


def test_that_it_is_over_is_said_once_with_how_long_it_took(process: Process) -> None:
    process.fails()
    process.seconds = 12.34
    process.goes_well()
    process.goes_well()
    assert ["database.trouble", "database.recovered"] == process.events
    assert 12.3 == process.said[1]["seconds"]


def test_the_next_outage_is_said_at_once(process: Process) -> None:
    process.fails()
    process.seconds = 10.0
    process.goes_well()
    process.fails()
    assert ["database.trouble", "database.recovered", "database.trouble"] == process.events


def test_what_fails_now_and_then_is_not_over_in_between(process: Process) -> None:
    for process.seconds in range(0, 60, 3):
        process.fails()
        process.goes_well()
    assert ["database.trouble"] * 2 == process.events


def test_what_may_not_have_asked_the_database_is_no_proof(process: Process) -> None:
    process.fails()
    process.goes_well(proof=False)
    assert ["database.trouble"] == process.events


def test_a_process_that_cannot_open_its_house_meanwhile_says_so_too(process: Process) -> None:
    process.fails(ConfigurationError(["database: it can't be used: no route"]))
    assert "database: it can't be used: no route" == process.said[0]["reason"]


def test_a_fault_of_our_own_is_not_hidden(process: Process) -> None:
    with pytest.raises(ValueError, match="ours"):
        process.fails(ValueError("ours"))
