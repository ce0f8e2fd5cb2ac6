import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.cli.desk import Desk
from tests.servers import wait_until
from worker import operations
from worker.backfill import Progress
from worker.cli.backfill import Lines
from worker.notification import rfc3339
from worker.past import Extent, Past, Tally
from worker.sandbox import PATH, Fail, Refuse, Sandbox

SLUGS = ["realtime_register", "bookkeep", "govapp"]
AGO = timedelta(days=20)


def publish(sandbox: Sandbox, count: int = 30) -> list[str]:
    """Rows of the past at Realtime Register, one a minute, closed; their ids."""
    began = sandbox.clock() - AGO
    for number in range(count):
        at = began + timedelta(minutes=number)
        raw: dict[str, Any] = {
            "id": number + 1,
            "fireDate": rfc3339(at.replace(microsecond=0)),
            "acknowledgeDate": rfc3339(at),
        }
        sandbox.realtime_register.ledger.publish(str(number + 1), raw, occurred_at=at)
    return [str(number + 1) for number in range(count)]


def since(sandbox: Sandbox) -> str:
    return rfc3339(sandbox.clock() - AGO - timedelta(hours=1)) or ""


@pytest.mark.parametrize("slug", SLUGS)
def test_every_provider_s_past_can_be_read(configured: Desk, sandbox: Sandbox, slug: str) -> None:
    sandbox.publish(250, slug)
    said = configured.tocsin("backfill", slug, "--since", since(sandbox), "--json")
    row = said.row
    assert (said.code, row["source"], row["complete"], row["new"], row["rejected"]) == (0, slug, True, 250, 0)
    assert row["windows"] == row["windows_done"]


def test_it_stores_only_and_says_so(desk: Desk, sandbox: Sandbox) -> None:
    publish(sandbox)
    source = {**sandbox.realtime_register.settings(), "start_at": "now"}
    desk.configure({"realtime_register": source}, sandbox.endpoints())
    said = desk.tocsin("backfill", "realtime_register", "--since", since(sandbox))
    assert (said.code, "30 new, 0 changed" in said.out, said.out.endswith("stored only\n")) == (0, True, True)
    assert (desk.deliver(), sandbox.receiver.received(PATH)) == (0, [])
    fates = desk.tocsin("deliveries", "list", "--json").rows
    assert {(row["status"], row["reason"]) for row in fates} == {("skipped", "backfill")}


def test_what_a_source_has_yet_to_poll_is_owed_as_the_poll_would(configured: Desk, sandbox: Sandbox) -> None:
    publish(sandbox)
    said = configured.tocsin("backfill", "realtime_register", "--since", since(sandbox))
    assert said.out.endswith("30 deliveries owed\n")


def test_with_deliver_all_of_it_arrives(configured: Desk, sandbox: Sandbox) -> None:
    published = publish(sandbox)
    said = configured.tocsin("backfill", "realtime_register", "--since", since(sandbox), "--deliver")
    assert said.out.endswith("30 deliveries owed\n")
    configured.deliver()
    assert sorted(one.content["data"]["external_id"] for one in sandbox.receiver.received(PATH)) == sorted(published)


def test_until_ends_it(configured: Desk, sandbox: Sandbox) -> None:
    publish(sandbox)
    until = (sandbox.clock() - AGO + timedelta(minutes=10)).replace(microsecond=0)
    said = configured.tocsin(
        "backfill", "realtime_register", "--since", since(sandbox), "--until", str(until), "--json"
    )
    assert (said.row["until"], 10 <= said.row["new"] <= 11) == (rfc3339(until), True)


def test_what_fails_says_why_and_how_to_go_on(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.realtime_register.faults.next(Refuse(), times=9)
    began = since(sandbox)
    said = configured.tocsin("backfill", "realtime_register", "--since", began)
    (complaint,) = said.complaints
    assert (said.code, said.out, "401" in complaint) == (1, "", True)
    assert complaint.endswith(
        f" windows are done. To go on, type it again: tocsin backfill realtime_register --since {began}"
    )


def test_what_fails_is_one_json_object_too(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.realtime_register.faults.next(Refuse(), times=9)
    said = configured.tocsin("backfill", "realtime_register", "--since", since(sandbox), "--json")
    assert (said.code, said.row["complete"], said.row["windows_done"]) == (1, False, 0)


def test_a_limit_is_waited_out_and_said_once(configured: Desk, sandbox: Sandbox) -> None:
    publish(sandbox)
    sandbox.realtime_register.faults.next(Fail(429, {"Retry-After": "1"}))
    said = configured.tocsin("backfill", "realtime_register", "--since", since(sandbox))
    waited, summary = said.out.splitlines()
    assert (said.code, "slow down" in waited, "Going on at" in waited, "30 new" in summary) == (0, True, True, True)


def test_on_a_terminal_there_is_a_bar_and_the_summary_stands_alone(configured: Desk, sandbox: Sandbox) -> None:
    publish(sandbox)
    sandbox.realtime_register.faults.next(Fail(429, {"Retry-After": "1"}))
    said = configured.tocsin("backfill", "realtime_register", "--since", since(sandbox), screen=True)
    assert (len(said.out.splitlines()), "windows" in said.err, "slow down" in said.err) == (1, True, True)


@pytest.mark.parametrize("words", [("--since", "2999-01-01"), ("--since", "2026-01-02", "--until", "2026-01-01"), ()])
def test_a_range_that_is_none_is_refused(configured: Desk, words: tuple[str, ...]) -> None:
    said = configured.tocsin("backfill", "bookkeep", *words)
    assert (said.code, "--since" in said.err) == (2, True)


def test_an_unknown_source_is_refused(configured: Desk) -> None:
    said = configured.tocsin("backfill", "nowhere", "--since", "2026-01-01")
    assert (said.code, said.complaints) == (
        2, ['"nowhere" is not a source; known: bookkeep, govapp, realtime_register'],
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_it_cleanly_and_the_same_command_goes_on(
    configured: Desk, sandbox: Sandbox, how: signal.Signals
) -> None:
    publish(sandbox)
    configured.tocsin("migrate")
    sandbox.realtime_register.faults.slow(timedelta(seconds=0.2))
    words = ("backfill", "realtime_register", "--since", since(sandbox))
    with configured.process(*words) as process:
        wait_until(lambda: len(sandbox.realtime_register.requests) > 3)
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    complaint = err.splitlines()[-1]
    assert (process.returncode, out, "Traceback" in err, ": interrupted; " in complaint) == (1, "", False, True)
    assert complaint.endswith(f"type it again: tocsin {' '.join(words)}")
    sandbox.realtime_register.faults.clear()
    again = configured.tocsin(*words)
    assert (again.code, "going on" in again.out, "30 new" in again.out) == (0, True, True)


class EnoughError(Exception):
    """Waited for long enough."""


def test_its_requests_leave_a_third_of_the_budget_to_polls(desk: Desk, sandbox: Sandbox) -> None:
    desk.configure({"registrar": {**sandbox.realtime_register.settings(), "budget": "6/h", "every": "1h"}}, {})
    told: list[str] = []

    def wait(_: timedelta) -> None:
        raise EnoughError

    with desk.house() as house, pytest.raises(EnoughError):
        list(operations.backfill(house, "registrar", Past(house.clock() - AGO), wait, told.append))
    assert (len(sandbox.realtime_register.requests), "A third of it is kept for polls." in told[0]) == (4, True)


def test_without_a_terminal_there_is_a_line_every_ten_seconds() -> None:
    seconds, lines = 0.0, list[str]()
    shown = Lines("books", lines.append, lambda: seconds)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for second in range(25):
        seconds = float(second)
        extent = Extent(windows=8, windows_done=2, share=0.25)
        shown.step(Progress(Tally(fetched=second * 1000, pages=second), extent, began, began, resumed=False))
    assert lines == [
        "books: 25% of the time, 2 of 8 windows, 10,000 rows, 10 requests, 1,000 rows/s",
        "books: 25% of the time, 2 of 8 windows, 20,000 rows, 20 requests, 1,000 rows/s",
    ]


def test_the_help_says_what_is_sent_without_deliver(configured: Desk) -> None:
    said = " ".join(configured.tocsin("backfill", "--help").out.split())
    assert 'With start_at = "beginning", before the first poll, that is all.' in said
