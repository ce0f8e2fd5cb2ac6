import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.integration.cli.desk import Desk
from worker.sandbox import PATH, Answer, Sandbox
from worker.store.rooms import Slots

YESTERDAY = str(datetime.now(UTC).date() - timedelta(days=1))
SINCE = ("--since", YESTERDAY)
ERP = ("replay", "--endpoint", "sandbox", *SINCE)


@pytest.fixture
def polled(configured: Desk, sandbox: Sandbox) -> Desk:
    """Three messages of the books, delivered."""
    sandbox.publish(3, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    configured.deliver()
    return configured


def deliveries(desk: Desk) -> list[dict[str, Any]]:
    return desk.tocsin("deliveries", "list", "--json").rows


def statuses(desk: Desk) -> list[str]:
    return [row["status"] for row in deliveries(desk)]


def test_what_was_delivered_is_sent_again_with_the_same_ids_and_the_same_bytes(polled: Desk, sandbox: Sandbox) -> None:
    said = polled.tocsin(*ERP)
    first, last = said.out.splitlines()
    assert (said.code, said.complaints, statuses(polled)) == (0, [], ["pending"] * 3)
    assert first.startswith(f"sandbox: 3 messages made from {YESTERDAY}T00:00:00Z until ")
    assert first.endswith(" are to be owed again (3 delivered)")
    assert last == "sandbox: 3 deliveries are owed again, and due now"
    assert polled.deliver() == 3
    received = [(one.webhook_id, one.body) for one in sandbox.receiver.received(PATH)]
    assert sorted(received[:3]) == sorted(received[3:])


def test_each_attempt_says_that_it_is_a_replay(polled: Desk) -> None:
    polled.tocsin(*ERP)
    polled.deliver()
    shown = polled.tocsin("notifications", "show", deliveries(polled)[0]["notification_id"], "--json").row
    (delivery,) = shown["delivery_rows"]
    assert [(one["number"], one["trigger"]) for one in delivery["attempt_rows"]] == [(1, "first"), (2, "replay")]


def test_a_dry_run_says_how_many_and_writes_nothing(polled: Desk) -> None:
    said = polled.tocsin(*ERP, "--dry-run")
    (line,) = said.out.splitlines()
    assert (said.code, line.endswith(" would be owed again (3 delivered)")) == (0, True)
    assert (statuses(polled), polled.deliver()) == (["delivered"] * 3, 0)
    row = polled.tocsin(*ERP, "--dry-run", "--json").row
    assert (row["total"], row["by_status"], row["owed"], row["complete"]) == (3, {"delivered": 3}, 0, False)


def test_as_json_it_is_one_object(polled: Desk) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    row = polled.tocsin(*ERP, "--until", until.isoformat(), "--status", "delivered", "--json").row
    assert list(row) == [
        "endpoint", "since", "until", "status", "total", "by_status", "owed", "complete", "resumed",
    ]  # fmt: skip
    assert (row["endpoint"], row["since"], row["status"]) == ("sandbox", f"{YESTERDAY}T00:00:00Z", "delivered")
    assert (row["total"], row["owed"], row["complete"], row["resumed"]) == (3, 3, True, False)


def test_a_status_narrows_it(polled: Desk, sandbox: Sandbox) -> None:
    polled.tocsin("endpoints", "disable", "sandbox")
    sandbox.publish(2, "govapp")
    polled.tocsin("poll", "govapp")
    polled.tocsin("endpoints", "enable", "sandbox")
    said = polled.tocsin(*ERP, "--status", "skipped")
    assert (said.code, sorted(statuses(polled))) == (0, ["delivered"] * 3 + ["pending"] * 2)


def test_an_endpoint_that_is_new_gets_the_past(polled: Desk, sandbox: Sandbox) -> None:
    sources = {"bookkeep": {**sandbox.sources()["bookkeep"], "every": "1h"}}
    polled.configure(sources, {**sandbox.endpoints(), "new": {**sandbox.endpoints()["sandbox"]}})
    said = polled.tocsin("replay", "--endpoint", "new", *SINCE)
    assert "(3 missing)" in said.out
    assert (polled.deliver(), len(sandbox.receiver.received(PATH))) == (3, 6)


def test_a_disabled_endpoint_is_refused_and_says_what_to_do(polled: Desk) -> None:
    polled.tocsin("endpoints", "disable", "sandbox")
    said = polled.tocsin(*ERP)
    complaint = (
        "sandbox is disabled (disabled by hand): nothing would be sent to it; run tocsin endpoints enable sandbox first"
    )
    assert (said.code, said.out, said.complaints, statuses(polled)) == (2, "", [complaint], ["delivered"] * 3)
    assert polled.tocsin(*ERP, "--dry-run").code == 0


@pytest.mark.parametrize(
    "words", [(), ("--since", "2999-01-01"), ("--since", "2026-01-02", "--until", "2026-01-01"), ("--since", "soon")]
)
def test_a_range_that_is_none_is_refused(configured: Desk, words: tuple[str, ...]) -> None:
    said = configured.tocsin("replay", "--endpoint", "sandbox", *words)
    assert (said.code, said.out, "--since" in said.err) == (2, "", True)


@pytest.mark.parametrize("words", [("--endpoint", "nobody"), ("--endpoint", "sandbox", "--status", "lost"), ()])
def test_an_unknown_endpoint_or_status_is_refused(configured: Desk, words: tuple[str, ...]) -> None:
    assert configured.tocsin("replay", *words, *SINCE).code == 2


def test_nothing_to_replay_is_said_too(configured: Desk) -> None:
    said = configured.tocsin(*ERP)
    assert (said.code, said.out.splitlines()[-1]) == (0, "sandbox: 0 deliveries are owed again, and due now")


def test_on_a_terminal_there_is_a_bar_and_the_words_stand_alone(polled: Desk) -> None:
    said = polled.tocsin(*ERP, screen=True)
    assert (said.code, len(said.out.splitlines()), "3/3" in said.err) == (0, 2, True)


def test_what_is_being_sent_just_then_is_counted(polled: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.script(PATH, Answer(500))
    sandbox.publish(1, "govapp")
    polled.tocsin("poll", "govapp")
    with polled.house() as house:
        house.outbox.claim(Slots(10), house.clock())
    said = polled.tocsin(*ERP)
    assert said.out.endswith("3 deliveries are owed again, and due now; 1 were being sent, or had changed meanwhile\n")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_it_cleanly_and_the_same_command_goes_on(polled: Desk, how: signal.Signals) -> None:
    with signalled(how, "UPDATE delivery"):
        said = polled.tocsin(*ERP)
    (complaint,) = said.complaints
    assert (said.code, statuses(polled)) == (1, ["delivered"] * 3)
    assert complaint == (f"sandbox: interrupted; 0 of 3 are owed. To go on, type it again: tocsin {' '.join(ERP)}")
    assert "; 0 of 3 messages are owed already; nothing was done" in polled.tocsin(*ERP, "--dry-run").out
    again = polled.tocsin(*ERP)
    assert again.out.startswith("sandbox: going on with what was begun at ")
    assert (again.code, statuses(polled)) == (0, ["pending"] * 3)
    begun_at = again.out.removeprefix("sandbox: going on with what was begun at ").partition(";")[0]
    assert again.out.endswith(
        f". That is up to {begun_at}, when it was begun first; for the rest type it again with --since {begun_at}\n"
    )


@contextmanager
def signalled(number: signal.Signals, statement: str) -> Iterator[None]:
    """This process is signalled right before such a statement."""

    def hear(_connection: object, _cursor: object, said: str, *_: object) -> None:
        if said.startswith(statement):
            signal.raise_signal(number)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
