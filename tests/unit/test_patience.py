"""Trying again what the database did not take, by a clock that is turned."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy.exc import InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoneLeft

from worker.store.patience import patiently

_WITHIN = timedelta(seconds=10)
_AWAY = OperationalError("SELECT 1", {}, Exception("away"))


@dataclass
class Scene:
    """What is tried fails so, in this order, and then goes well."""

    failures: list[Exception]
    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def act(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    def play(self) -> str:
        return patiently(self.act, _WITHIN, self.pause, lambda: self.seconds)


def test_what_goes_well_is_done_once() -> None:
    scene = Scene([])
    assert ("done", []) == (scene.play(), scene.pauses)


@pytest.mark.parametrize(
    "trouble", [_AWAY, InternalError("COMMIT", {}, Exception("aborted")), NoneLeft("QueuePool limit")]
)
def test_passing_trouble_is_waited_for(trouble: Exception) -> None:
    assert "done" == Scene([trouble]).play()


def test_pauses_grow_up_to_two_seconds() -> None:
    scene = Scene([_AWAY] * 6)
    scene.play()
    assert [0.1, 0.2, 0.4, 0.8, 1.6, 2.0] == scene.pauses


def test_patience_ends_with_what_the_last_attempt_raised() -> None:
    scene = Scene([_AWAY] * 100)
    with pytest.raises(OperationalError, match="away"):
        scene.play()
    assert 8 < scene.seconds <= 10


@pytest.mark.parametrize("fault", [ProgrammingError("SELECT x", {}, Exception("no such column")), ValueError("ours")])
def test_what_time_does_not_mend_is_not_tried_again(fault: Exception) -> None:
    scene = Scene([fault])
    with pytest.raises(type(fault)):
        scene.play()
    assert [] == scene.pauses
