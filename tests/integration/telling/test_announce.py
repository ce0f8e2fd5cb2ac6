from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from tests.fakes import AT, ScriptedProvider, item, page
from tests.integration.store.desk import PowerCutError, power_cut
from tests.integration.telling.stand import EVERY, Stand
from worker import announce
from worker.errors import AuthFailed, RateLimited, Unavailable
from worker.intake import Subscription
from worker.interest import Interest
from worker.moment import next_moment
from worker.store import endpoints, sources
from worker.store.sources import LEASE_FOR
from worker.store.tables import Delivery, Message, PollRun

FAILING, PAUSED = ("source.failing", "failing"), ("source.failing", "paused")
RECOVERED = ("source.recovered", "ok")


def _good(stand: Stand) -> None:
    stand.clock.turn(minutes=1)
    stand.poll(ScriptedProvider([page(last=True)]))


def _bad(stand: Stand, error: Exception | None = None) -> None:
    stand.clock.turn(minutes=1)
    stand.fails(ScriptedProvider([error or Unavailable("down")]), Unavailable, AuthFailed, RateLimited)


def _resume(stand: Stand) -> None:
    with stand.desk.database.transaction() as session:
        assert sources.resume(session, "books", stand.clock.turn(minutes=1))


def test_a_source_that_begins_to_fail_is_told_with_its_row(stand: Stand) -> None:
    stand.poll(ScriptedProvider([page(item("a"), item("b", "resolved"), {"no": "id"}, last=True)]))
    _bad(stand)
    (message,) = stand.messages
    assert (message["type"], message["timestamp"]) == ("source.failing", "2026-03-20T12:01:00Z")
    assert message["data"] == stand.row
    told = ("name", "status", "failures", "notifications", "open", "rejected")
    assert [message["data"][key] for key in told] == ["books", "failing", 1, 2, 1, 1]
    assert message["data"]["reason"].endswith("down")


def test_a_source_that_recovers_is_told_with_its_row(stand: Stand) -> None:
    _bad(stand)
    _good(stand)
    assert stand.said == [FAILING, RECOVERED]
    assert stand.messages[1]["data"] == stand.row
    assert (stand.row["failures"], stand.row["reason"]) == (0, None)


def test_polls_that_go_well_say_nothing(stand: Stand) -> None:
    _good(stand)
    _good(stand)
    assert stand.said == []


def test_failing_again_and_again_is_told_once(stand: Stand) -> None:
    for error in (Unavailable("down"), RateLimited("slow"), Unavailable("down again")):
        _bad(stand, error)
    _good(stand)
    _good(stand)
    assert stand.said == [FAILING, RECOVERED]


def test_each_time_of_failing_is_told(stand: Stand) -> None:
    for _ in range(2):
        _bad(stand)
        _good(stand)
    assert stand.said == [FAILING, RECOVERED] * 2
    assert len({row.id for row in stand.desk.rows(Message)}) == 4


def test_refused_credentials_are_told_once_as_paused(stand: Stand) -> None:
    _bad(stand, AuthFailed("401"))
    _bad(stand, AuthFailed("401"))
    assert stand.said == [PAUSED]
    assert stand.messages[0]["data"]["next_poll_at"] is None


def test_a_source_that_failed_and_is_then_paused_is_told_as_both(stand: Stand) -> None:
    _bad(stand)
    _bad(stand, AuthFailed("401"))
    assert stand.said == [FAILING, PAUSED]


def test_a_paused_source_has_recovered_when_it_was_resumed_and_a_poll_went_well(stand: Stand) -> None:
    _bad(stand, AuthFailed("401"))
    _good(stand)
    assert stand.said == [PAUSED]
    _resume(stand)
    assert stand.said == [PAUSED]
    _good(stand)
    assert stand.said == [PAUSED, RECOVERED]


def test_credentials_that_are_refused_again_after_a_person_resumed_are_told_again(stand: Stand) -> None:
    _bad(stand, AuthFailed("401"))
    _resume(stand)
    _bad(stand, AuthFailed("401"))
    assert stand.said == [PAUSED, PAUSED]


def test_who_pauses_a_source_by_hand_knows_it(stand: Stand) -> None:
    with stand.desk.database.transaction() as session:
        sources.pause(session, "books", "paused by hand", AT)
    _bad(stand)
    _resume(stand)
    _good(stand)
    assert stand.said == []


def test_a_poll_that_is_put_back_says_nothing(stand: Stand) -> None:
    _bad(stand)
    stand.stopping = lambda: True
    _good(stand)
    assert stand.said == [FAILING]


@pytest.mark.parametrize(
    ("interest", "owed"),
    [
        (Interest("ops"), False),
        (Interest("ops", types=("source.recovered",)), False),
        (Interest("ops", types=("source.failing",)), True),
        (Interest("ops", types=("*",)), True),
        (Interest("ops", types=("source.*",), sources=("books",)), True),
        (Interest("ops", types=("source.*",), sources=("mail",)), False),
        (Interest("ops", types=("source.*",), kinds=("Transfer*",), statuses=("new",)), True),
        (Interest("gone", types=("source.*",)), False),
    ],
)
def test_it_is_owed_to_those_who_ask_for_it(stand: Stand, interest: Interest, owed: bool) -> None:  # noqa: FBT001  # a table
    stand.interests = [interest]
    _bad(stand)
    assert [row.status for row in stand.desk.deliveries()] == ["pending"] * owed


def test_what_nobody_asks_for_is_not_made(stand: Stand) -> None:
    stand.interests = [Interest("erp")]
    _bad(stand)
    assert stand.desk.rows(Message) == []


def test_it_is_delivered_like_any_other(stand: Stand) -> None:
    _bad(stand)
    stand.desk.now = stand.clock()
    (due,) = stand.desk.claim()
    assert (due.endpoint, due.source, due.notification_id) == ("ops", "books", None)
    stand.desk.record([stand.desk.judged(due, 200)])
    assert [row.status for row in stand.desk.deliveries()] == ["delivered"]


def test_a_disabled_endpoint_has_it_skipped(stand: Stand) -> None:
    with stand.desk.database.transaction() as session:
        endpoints.disable(session, "ops", "away", AT)
    _bad(stand)
    assert [(row.status, row.reason) for row in stand.desk.deliveries()] == [("skipped", "endpoint disabled")]


def _cut_off(stand: Stand, at: int, error: Exception | None) -> bool:
    """A poll with a power cut at that statement; whether there were so many. The lease then ends by itself."""
    script = [error] if error else [page(last=True)]
    came = False
    stand.clock.turn(minutes=1)
    with power_cut(stand.desk.database, at):
        try:
            with suppress(Unavailable):
                stand.poll(ScriptedProvider(script))
        except PowerCutError:
            came = True
    stand.clock.turn(seconds=LEASE_FOR.total_seconds())
    return came


def test_no_crash_loses_or_doubles_what_is_to_be_told(stand: Stand) -> None:
    """The power is cut at every statement of a poll that fails, and of one that goes well."""
    for at in range(1, 200):
        cut = _cut_off(stand, at, Unavailable("down"))
        _bad(stand)
        cut = _cut_off(stand, at, None) or cut
        _good(stand)
        assert stand.said == [FAILING, RECOVERED] * at
        if not cut:
            break
    else:
        raise AssertionError("a poll has no end")
    assert at > 10
    assert len(stand.desk.rows(Delivery)) == 2 * at


def _moments(stand: Stand, count: int) -> datetime:
    """Turn the clock on, right to that many moments after the source was last due."""
    moment = stand.source.next_poll_at
    for _ in range(count):
        moment = next_moment("books", stand.schedule, moment)
    stand.clock.at = moment
    return moment


def test_a_source_that_nobody_polls_is_told_once(stand: Stand) -> None:
    _good(stand)
    _moments(stand, 0)
    assert stand.tick() == []
    _moments(stand, 2)
    assert stand.tick() == []
    _moments(stand, 3)
    assert stand.tick() == ["books"]
    assert stand.messages[0]["data"] == stand.row
    stand.clock.turn(hours=1)
    assert stand.tick() == []
    _good(stand)
    assert stand.said == [FAILING, RECOVERED]
    assert stand.row["status"] == "ok"


def test_a_new_source_that_nobody_polls_is_told(stand: Stand) -> None:
    stand.tick()
    stand.clock.turn(minutes=25)
    assert stand.tick() == ["books"]
    assert stand.row["reason"] == "it is more than three intervals behind: is a worker running?"


def test_polls_that_never_end_are_told(stand: Stand) -> None:
    for _ in range(25):
        stand.tick()
        with stand.desk.database.transaction() as session:
            sources.acquire(session, "books", stand.clock(), only_due=True)
        stand.clock.turn(seconds=LEASE_FOR.total_seconds())
    assert stand.said == [FAILING]
    assert "its polls begin and do not end" in stand.row["reason"]
    assert len(stand.desk.rows(PollRun)) == 25


def test_a_poll_that_takes_too_long_is_told_and_recovers_when_it_ends(stand: Stand) -> None:
    reasons = []

    def long() -> None:
        stand.clock.turn(seconds=50)
        stand.tick()
        reasons.append(stand.row["reason"])

    stand.tick()
    stand.poll(ScriptedProvider([*[step for _ in range(30) for step in (page(), long)], page(last=True)]))
    assert stand.said == [FAILING, RECOVERED]
    assert reasons[-1] == "it is more than three intervals behind: its poll has not ended yet"


def test_a_process_that_has_just_started_says_nothing_of_what_it_is_about_to_poll(stand: Stand) -> None:
    _good(stand)
    stand.clock.turn(hours=9)
    assert stand.tick() == []
    _good(stand)
    assert stand.said == []


def test_a_source_that_fails_is_not_told_to_lag_too(stand: Stand) -> None:
    _bad(stand)
    stand.tick()
    stand.clock.turn(hours=9)
    assert stand.tick() == []
    assert stand.said == [FAILING]


def test_a_source_that_lagged_and_then_fails_is_told_once(stand: Stand) -> None:
    stand.tick()
    stand.clock.turn(minutes=25)
    stand.tick()
    _bad(stand)
    _good(stand)
    assert stand.said == [FAILING, RECOVERED]


def test_a_paused_source_does_not_lag(stand: Stand) -> None:
    stand.tick()
    with stand.desk.database.transaction() as session:
        sources.pause(session, "books", "paused by hand", AT)
    stand.clock.turn(hours=9)
    assert stand.tick() == []


def test_a_source_that_is_no_longer_configured_does_not_lag(stand: Stand) -> None:
    stand.tick()
    stand.clock.turn(hours=9)
    assert announce.lagging(stand.desk.database, {"others"}, lambda _: stand.subscription(), stand.clock()) == []


def test_of_two_processes_that_find_it_lagging_one_says_so(stand: Stand) -> None:
    quicker: list[list[str]] = []

    def looked_up(_: str) -> Subscription:
        quicker.append(stand.tick())
        return stand.subscription()

    stand.tick()
    stand.clock.turn(minutes=25)
    assert announce.lagging(stand.desk.database, {"books"}, looked_up, stand.clock()) == []
    assert (quicker, stand.said) == ([["books"]], [FAILING])


def test_who_is_asked_to_wait_by_the_provider_does_not_lag(stand: Stand) -> None:
    """Without an error: its `X-Poll-Interval` is longer than three of our intervals."""
    stand.clock.turn(minutes=1)
    asked = page(last=True)
    stand.poll(ScriptedProvider([type(asked)(items=[], last=True, not_before=stand.clock() + timedelta(hours=1))]))
    stand.clock.at = stand.source.next_poll_at - timedelta(seconds=1)
    assert (stand.tick(), stand.row["status"]) == ([], "ok")
    assert stand.row["lag_s"] > 3 * EVERY.total_seconds()
