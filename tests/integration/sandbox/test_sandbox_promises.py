"""What counts as a broken promise, and what was published and arrived."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.notification import Status
from worker.sandbox import Answer, Received, Tally, broken_promises, tally
from worker.sandbox.ledger import Row, State

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
STATES = (
    State({"id": 1}, Status.NEW, NOW),
    State({"id": 1, "read": True}, Status.READ, NOW + timedelta(minutes=1)),
    State({"id": 1, "done": True}, Status.RESOLVED, NOW + timedelta(minutes=2)),
)
ROW = Row("1", NOW, NOW, STATES)
GONE = replace(ROW, withdrawn_at=NOW + timedelta(minutes=5))


def message(number: int, state: State, kind: str | None = None, **members: Any) -> Received:
    """Revision `number`, a minute after the one before."""
    kind = kind or ("notification.created" if number == 1 else "notification.updated")
    content = {"source": "s", "external_id": "1", "revision": number, "status": state.status, "raw": state.raw}
    at = NOW + timedelta(minutes=number)
    return Received(
        path="/",
        webhook_id=f"msg_{number}",
        timestamp="0",
        body=json.dumps({"type": kind, "data": {**content, **members}}).encode(),
        headers={},
        arrived_at=at,
        reply=Answer(204),
        refusal=None,
        ended_at=at + timedelta(seconds=1),
    )


FIRST, SECOND, THIRD = (message(number, state) for number, state in enumerate(STATES, 1))
WITHDRAWN = message(4, STATES[2], "notification.withdrawn")
TEST = replace(FIRST, webhook_id="msg_test", body=json.dumps({"type": "tocsin.test", "data": {}}).encode())


@pytest.mark.parametrize(
    "received",
    [
        [FIRST, SECOND, THIRD],
        [FIRST, SECOND, SECOND, FIRST, THIRD],
        [FIRST, message(2, STATES[2])],
        [message(1, STATES[2])],
        [FIRST, replace(SECOND, reply=Answer(500)), SECOND, THIRD],
        [FIRST, SECOND, THIRD, message(4, STATES[2], "notification.expired", status="expired")],
        [TEST, FIRST, replace(SECOND, ended_at=None), THIRD],
    ],
)
def test_all_states_or_those_that_a_poller_could_see_are_as_promised(received: Sequence[Received]) -> None:
    assert broken_promises({"s": [ROW]}, received) == []


def test_a_withdrawn_row_need_not_have_arrived_and_may_be_told_so() -> None:
    for received in ([], [FIRST], [FIRST, SECOND, THIRD, WITHDRAWN]):
        assert broken_promises({"s": [GONE]}, received) == []


@pytest.mark.parametrize(
    ("received", "broken"),
    [
        ([], "s/1: its last state, resolved since 2026-03-20 12:02:00+00:00, has not arrived"),
        ([FIRST, SECOND], "s/1: its last state, resolved since 2026-03-20 12:02:00+00:00, has not arrived"),
        ([FIRST, THIRD, SECOND], "s/1: revisions arrived in the order [1, 3, 2]"),
        ([FIRST, replace(THIRD, webhook_id="a"), THIRD], "s/1: a revision was told under two ids: [1, 3, 3]"),
        ([FIRST, replace(THIRD, arrived_at=NOW)], "s/1: two revisions were sent at the same time"),
        ([FIRST, replace(FIRST, body=SECOND.body), THIRD], "msg_1: its bytes differ from those before"),
        ([replace(FIRST, refusal="too old"), FIRST, THIRD], "msg_1: signature: too old"),
        ([replace(TEST, webhook_id="", refusal="missing"), FIRST, THIRD], "a request: signature: missing"),
        ([FIRST, message(2, State({"id": 2}, Status.NEW, NOW)), THIRD], "s/1: revision 2 is no state that it had then"),
        ([message(1, STATES[1]), message(2, STATES[0]), THIRD], "s/1: revision 2 is no state that it had then"),
        ([message(1, STATES[2], status="new")], "s/1: revision 1 says new, not resolved"),
        ([message(1, STATES[2], "notification.updated")], "s/1: revision 1 says notification.updated"),
        ([FIRST, message(2, STATES[2], "notification.created")], "s/1: revision 2 says notification.created"),
        ([FIRST, SECOND, THIRD, WITHDRAWN], "s/1: it was told withdrawn, and is not"),
        ([FIRST, THIRD, replace(message(1, STATES[0], external_id="9"), webhook_id="x")], "s/9: nobody published it"),
    ],
)  # fmt: skip
def test_each_broken_promise_has_a_line(received: Sequence[Received], broken: str) -> None:
    assert broken in broken_promises({"s": [ROW]}, received)


def test_a_withdrawal_that_was_never_told_is_broken_only_where_withdrawals_are_promised() -> None:
    assert broken_promises({"s": [GONE]}, [FIRST]) == []
    assert broken_promises({"s": [GONE]}, [FIRST], withdrawals=True) == [
        "s/1: it was withdrawn at 2026-03-20 12:05:00+00:00, which was never told"
    ]


def test_the_tally_counts_revisions_and_duplicates_apart() -> None:
    received = [replace(FIRST, reply=Answer(500)), FIRST, FIRST, THIRD]
    expected = Tally(rows=2, states=4, notifications=1, revisions=2, duplicates=1, attempts=4)
    assert tally({"s": [ROW, replace(ROW, external_id="2", states=STATES[:1])]}, received) == expected
