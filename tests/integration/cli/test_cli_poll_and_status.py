from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.cli.desk import Desk
from worker.notification import rfc3339
from worker.sandbox import Answer, Fail, HandClock, Refuse, Sandbox
from worker.store import sources

POLL = {"pages", "fetched", "new", "changed", "unchanged", "rejected", "repairs", "covered_until"}
SOURCE = {
    "name", "provider", "status", "reason", "last_poll_at", "next_poll_at", "covered_until", "lag_s", "failures",
    "notifications", "open", "rejected",
}  # fmt: skip
ENDPOINT = {
    "name", "url", "status", "reason", "pending", "oldest_pending_at", "failing_since", "delivered", "exhausted",
}  # fmt: skip


def source(desk: Desk, name: str = "bookkeep") -> dict[str, Any]:
    (row,) = [row for row in desk.tocsin("sources", "list", "--json").rows if row["name"] == name]
    return row


def test_poll_on_a_fresh_sqlite_makes_the_schema_and_counts_what_it_found(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(3, "bookkeep")
    row = configured.tocsin("poll", "bookkeep", "--json").row
    assert POLL <= row.keys()
    assert {key: row[key] for key in ("pages", "fetched", "new", "changed", "unchanged", "rejected", "repairs")} == {
        "pages": 1, "fetched": 3, "new": 3, "changed": 0, "unchanged": 0, "rejected": 0, "repairs": 0,
    }  # fmt: skip


def test_poll_again_tells_new_changed_and_unchanged_apart(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(3, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    sandbox.change(1, "bookkeep")
    sandbox.publish(1, "bookkeep")
    row = configured.tocsin("poll", "bookkeep", "--json").row
    assert (row["new"], row["changed"], row["unchanged"]) == (1, 1, 2)


def test_poll_for_people_is_a_table_with_the_same_words(configured: Desk) -> None:
    said = configured.tocsin("poll", "govapp")
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    assert said.out.split("covered until")[0].split() == [
        "pages", "fetched", "new", "changed", "unchanged", "rejected", "repairs",
    ]  # fmt: skip


def test_poll_counts_what_it_rejects_and_is_done_all_the_same(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.ledger.publish("1", {"type": "notification", "attributes": {}})
    said = configured.tocsin("poll", "bookkeep", "--json")
    assert (said.code, said.row["rejected"], said.row["new"]) == (0, 1, 0)


@pytest.mark.parametrize(("fault", "words"), [(Fail(500), "can't be reached"), (Refuse(), "refuses our credentials")])
def test_poll_of_a_provider_that_fails_is_one_line_and_exits_1(
    configured: Desk, sandbox: Sandbox, fault: Any, words: str
) -> None:
    sandbox.bookkeep.faults.next(*[fault] * 9)
    said = configured.tocsin("poll", "bookkeep")
    (line,) = said.complaints
    assert (said.code, said.out, line.startswith("bookkeep: "), words in line) == (1, "", True, True)


def test_poll_of_a_source_that_another_process_polls_says_so_and_exits_1(configured: Desk) -> None:
    with configured.house() as house, house.database.transaction() as session:
        sources.acquire(session, "bookkeep", house.clock(), only_due=False)
    said = configured.tocsin("poll", "bookkeep", "--json")
    assert (said.code, said.out, said.complaints) == (1, "", ["bookkeep: another process is polling it"])


@pytest.mark.parametrize("words", [("poll",), ("sources", "pause"), ("sources", "resume")])
def test_a_source_that_is_not_configured_is_one_line_and_exits_2(configured: Desk, words: tuple[str, ...]) -> None:
    said = configured.tocsin(*words, "nobody")
    expected = ['"nobody" is not a source; known: bookkeep, govapp, realtime_register']
    assert (said.code, said.out, said.complaints) == (2, "", expected)


def test_where_nothing_is_configured_a_name_is_unknown_all_the_same(desk: Desk) -> None:
    desk.write("")
    assert desk.tocsin("poll", "x").err == '"x" is not a source; known: none\n'


def test_status_as_json_is_one_object_of_sources_and_endpoints(configured: Desk) -> None:
    row = configured.tocsin("status", "--json").row
    assert [each["name"] for each in row["sources"]] == ["bookkeep", "govapp", "realtime_register"]
    assert [each["name"] for each in row["endpoints"]] == ["sandbox"]
    assert all(each.keys() >= SOURCE for each in row["sources"])
    assert all(each.keys() >= ENDPOINT for each in row["endpoints"])


def test_status_and_the_two_lists_say_the_same(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    whole = configured.tocsin("status", "--json").row
    lists = (configured.tocsin("sources", "list", "--json").rows, configured.tocsin("endpoints", "list", "--json").rows)
    for listed, told in zip((*lists[0], *lists[1]), (*whole["sources"], *whole["endpoints"]), strict=True):
        same = listed.keys() - {"lag_s"}
        assert {key: told[key] for key in same} == {key: listed[key] for key in same}


def test_a_source_tells_how_it_fares(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(3, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    sandbox.change(1, "bookkeep")
    sandbox.bookkeep.ledger.publish("1", {"type": "notification", "attributes": {}})
    configured.tocsin("poll", "bookkeep")
    row = source(configured)
    expected = {"status": "ok", "reason": None, "failures": 0, "notifications": 3, "open": 2, "rejected": 1}
    assert {key: row[key] for key in expected} == expected
    assert 0 <= row["lag_s"] < 30
    assert row["last_poll_at"] <= row["covered_until"] < row["next_poll_at"]


def test_a_source_that_was_never_polled_has_nulls(configured: Desk) -> None:
    row = source(configured)
    assert (row["status"], row["last_poll_at"], row["covered_until"], row["lag_s"]) == ("ok", None, None, None)


def test_an_endpoint_counts_what_is_pending_and_delivered(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    before = configured.tocsin("endpoints", "list", "--json").row
    configured.deliver()
    after = configured.tocsin("endpoints", "list", "--json").row
    assert (before["pending"], before["delivered"], before["oldest_pending_at"] is None) == (2, 0, False)
    assert (after["pending"], after["delivered"], after["oldest_pending_at"]) == (0, 2, None)


def test_status_for_people_is_two_tables(configured: Desk) -> None:
    said = configured.tocsin("status")
    above, below = said.out.split("\n\n")
    assert above.split("\n")[0].split("  ")[0] == "name"
    assert ("covered until" in above, "oldest pending at" in below) == (True, True)
    assert (len(above.splitlines()), len(below.splitlines())) == (4, 2)


def test_status_exits_0_where_all_is_well(configured: Desk) -> None:
    assert configured.tocsin("status").code == 0


def test_rejected_items_alone_need_nobody(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.ledger.publish("1", {"type": "notification", "attributes": {}})
    configured.tocsin("poll", "bookkeep")
    assert (configured.tocsin("status").code, source(configured)["rejected"]) == (0, 1)


def test_a_paused_source_needs_a_person(configured: Desk) -> None:
    configured.tocsin("sources", "pause", "bookkeep")
    assert (configured.tocsin("status").code, configured.tocsin("status", "--json").code) == (1, 1)


def test_a_source_that_was_refused_is_paused_and_says_why(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.faults.refuse()
    configured.tocsin("poll", "bookkeep")
    row = source(configured)
    assert (row["status"], row["next_poll_at"], row["failures"]) == ("paused", None, 1)
    assert row["reason"].startswith("The provider refuses our credentials")
    assert configured.tocsin("status").code == 1


def test_a_failing_source_needs_a_person_and_says_why(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.faults.next(*[Fail(500)] * 9)
    configured.tocsin("poll", "bookkeep")
    row = source(configured)
    assert (row["status"], row["failures"], configured.tocsin("status").code) == ("failing", 1, 1)
    assert "500" in row["reason"]


def test_a_source_that_nobody_polls_lags_and_needs_a_person(desk: Desk, sandbox: Sandbox) -> None:
    keys = {**sandbox.sources()["bookkeep"], "every": "1s"}
    desk.configure({"bookkeep": keys}, {})
    with desk.house(lambda: datetime.now(UTC) - timedelta(minutes=1)):
        pass
    said = desk.tocsin("status", "--json")
    (row,) = said.row["sources"]
    assert (said.code, row["status"]) == (1, "failing")
    assert row["reason"] == "it is more than three intervals behind: is a worker running?"


def test_a_failing_endpoint_needs_a_person(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    sandbox.receiver.script("/hooks/tocsin", then=Answer(500))
    configured.tocsin("poll", "bookkeep")
    configured.deliver()
    said = configured.tocsin("status", "--json")
    (row,) = said.row["endpoints"]
    assert (said.code, row["status"], row["pending"]) == (1, "failing", 1)
    assert (row["reason"], row["failing_since"] is None) == (
        "1 failed attempts since it last answered well, the last answered 500",
        False,
    )


def test_a_disabled_endpoint_needs_a_person(configured: Desk) -> None:
    configured.tocsin("endpoints", "disable", "sandbox")
    assert configured.tocsin("status").code == 1


def test_instants_are_rfc_3339_in_utc(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    row = source(configured)
    instants = [row[key] for key in ("last_poll_at", "next_poll_at", "covered_until")]
    assert [rfc3339(datetime.fromisoformat(text)) for text in instants] == instants


def test_a_source_that_left_the_configuration_is_shown_no_more(configured: Desk, sandbox: Sandbox) -> None:
    configured.tocsin("status")
    configured.configure({"bookkeep": sandbox.sources()["bookkeep"]}, {})
    row = configured.tocsin("status", "--json").row
    assert ([each["name"] for each in row["sources"]], row["endpoints"]) == (["bookkeep"], [])


def test_a_poll_whose_lease_ran_out_says_so_and_exits_1(configured: Desk, sandbox: Sandbox) -> None:
    def rob(_: object) -> None:
        later = HandClock(datetime.now(UTC) + timedelta(minutes=5))
        with configured.house(later) as house, house.database.transaction() as session:
            sources.acquire(session, "bookkeep", later(), only_due=False)

    sandbox.publish(1, "bookkeep")
    sandbox.bookkeep.meanwhile = rob
    said = configured.tocsin("poll", "bookkeep")
    (line,) = said.complaints
    assert (said.code, said.out, line.startswith("Another process has the lease")) == (1, "", True)
