"""The judge of storms can fail: whatever is not as promised, it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.fakes import AT
from tests.storm.judge import SENDER, Lived, Owed, Struck, figures, findings
from tests.storm.plan import BEATS, WORKERS, Blow, Deed
from worker.notification import Status
from worker.sandbox import Answer, Received
from worker.sandbox.ledger import Row, State

_PATH, _SOURCE = "/all", "books"
_GOOD, _BAD = Answer(204), Answer(500)


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def row(*states: str) -> Row:
    had = tuple(State({"is": state}, Status.NEW, at(number)) for number, state in enumerate(states))
    return Row("7", AT, AT, had)


def request(revision: int, state: str, seconds: float, reply: Answer = _GOOD, **more: Any) -> Received:
    told = {"source": _SOURCE, "external_id": "7", "revision": revision, "status": "new", "raw": {"is": state}}
    kind = "notification.created" if revision == 1 else "notification.updated"
    arrived = Received(
        path=_PATH,
        webhook_id=f"msg_{revision}",
        timestamp="",
        body=orjson.dumps({"type": kind, "data": told}),
        headers={SENDER: WORKERS[0]},
        arrived_at=at(seconds),
        reply=reply,
        refusal=None,
        ended_at=at(seconds + 0.1),
    )
    return replace(arrived, **more)


def owed(revision: int, *recorded: float, status: str = "delivered") -> Owed:
    return Owed(_PATH, f"msg_{revision}", status, tuple(at(seconds) for seconds in recorded))


def struck(deed: Deed, begun: float, ended: float | None = None, whom: str = WORKERS[0]) -> Struck:
    return Struck(Blow(begun, deed, whom), ((at(begun), at(begun if ended is None else ended)),))


@dataclass
class Storm:
    """Two revisions of one notification, of which the first came twice, as a worker was killed in between."""

    states: tuple[str, ...] = ("a", "b")
    received: list[Received] = field(
        default_factory=lambda: [request(1, "a", 1), request(1, "a", 6), request(2, "b", 7, _BAD), request(2, "b", 9)]
    )
    owed: list[Owed] = field(default_factory=lambda: [owed(1, 6.2), owed(2, 9.2)])
    struck: list[Struck] = field(default_factory=lambda: [struck(Deed.KILL, 1.05)])

    def lived(self) -> Lived:
        published: Mapping[str, list[Row]] = {_SOURCE: [row(*self.states)], "other": []}
        return Lived(published, {_PATH: frozenset({_SOURCE})}, self.received, self.owed, self.struck)

    def findings(self) -> str:
        return "\n".join(findings(self.lived()))


@pytest.fixture
def storm() -> Storm:
    return Storm()


def test_nothing_is_found_where_all_is_as_promised(storm: Storm) -> None:
    assert "" == storm.findings()


def test_duplicates_and_their_bound_are_counted(storm: Storm) -> None:
    counted = figures(storm.lived())

    assert (1, 1) == (counted.duplicates, counted.bound)
    assert (1, 2, 2, 2, 4, 1) == (
        counted.rows, counted.states, counted.revisions, counted.deliveries, counted.requests, counted.blows
    )  # fmt: skip


def test_a_state_that_never_arrived_is_found(storm: Storm) -> None:
    storm.states += ("c",)
    assert "has not arrived" in storm.findings()


def test_a_notification_that_never_arrived_is_found(storm: Storm) -> None:
    storm.received, storm.owed = [], []
    assert "has not arrived" in storm.findings()


def test_revisions_in_the_wrong_order_are_found(storm: Storm) -> None:
    storm.received = [request(2, "b", 1), request(1, "a", 3)]
    assert "in the order [2, 1]" in storm.findings()


def test_two_revisions_at_the_same_time_are_found(storm: Storm) -> None:
    storm.received = [request(1, "a", 1), request(2, "b", 1.05)]
    assert "at the same time" in storm.findings()


def test_other_bytes_under_the_same_id_are_found(storm: Storm) -> None:
    storm.received[1] = replace(storm.received[1], body=storm.received[1].body + b" ")
    assert "its bytes differ" in storm.findings()


def test_other_bytes_under_the_same_id_at_another_endpoint_are_found(storm: Storm) -> None:
    storm.received.append(replace(storm.received[0], path="/other", body=b"{}", reply=_BAD))
    assert "its bytes differ, at /other" in storm.findings()


def test_a_bad_signature_is_found(storm: Storm) -> None:
    storm.received[0] = replace(storm.received[0], refusal="too old")
    assert "signature: too old" in storm.findings()


def test_what_is_sent_again_after_it_was_recorded_is_found(storm: Storm) -> None:
    storm.owed[0] = owed(1, 1.2)
    assert "msg_1 was sent again 4.80 s after it was recorded as delivered" in storm.findings()


def test_even_if_it_is_refused_then(storm: Storm) -> None:
    storm.received.append(request(2, "b", 12, _BAD))
    assert "msg_2 was sent again" in storm.findings()


def test_what_was_recorded_twice_is_found(storm: Storm) -> None:
    storm.owed[0] = owed(1, 6.2, 7.2)
    assert "recorded as delivered 2 times" in storm.findings()


def test_what_is_still_owed_is_found(storm: Storm) -> None:
    storm.owed[1] = owed(2, status="pending")
    assert "msg_2 is pending" in storm.findings()


def test_what_was_recorded_and_never_arrived_is_found(storm: Storm) -> None:
    storm.owed.append(owed(3, 9.3))
    assert "msg_3 was recorded as delivered, and never arrived" in storm.findings()


def test_what_arrived_and_is_not_in_the_store_is_found(storm: Storm) -> None:
    storm.owed.pop()
    assert "the store knows of no such delivery" in storm.findings()


@pytest.mark.parametrize(
    "blows",
    [
        [],
        [struck(Deed.KILL, 0.9)],
        [struck(Deed.KILL, 2.5)],
        [struck(Deed.KILL, 1.05, whom=BEATS[0])],
        [struck(Deed.KILL, 1.05, whom=WORKERS[1])],
        [struck(Deed.EMPTY_REDIS, 1.05)],
        [struck(Deed.FLAP, 0.5, 2)],
        [struck(Deed.CLOCK, 0.5, 2)],
    ],
    ids=["nothing", "too early", "too late", "a beat", "the other worker", "Redis", "the endpoint", "a clock"],
)
def test_a_duplicate_that_nothing_explains_is_found(storm: Storm, blows: list[Struck]) -> None:
    storm.struck = blows
    assert "though nothing struck" in storm.findings()
    assert "1 duplicates, though only 0 requests were in flight" in storm.findings()


def test_another_worker_that_stands_still_may_hold_what_it_records(storm: Storm) -> None:
    storm.struck = [struck(Deed.STOP, 0.5, 1.05, whom=WORKERS[1])]
    assert "" == storm.findings()


@pytest.mark.parametrize("deed", [Deed.KILL_CHILD, Deed.KILL_PARENT, Deed.STOP, Deed.RESTART_FAST, Deed.CUT_POSTGRES])
def test_whatever_keeps_a_worker_from_recording_explains_a_duplicate(storm: Storm, deed: Deed) -> None:
    storm.struck = [struck(deed, 0.5, 1.05)]
    assert "" == storm.findings()
