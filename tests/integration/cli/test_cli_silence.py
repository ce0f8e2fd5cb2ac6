"""Why an endpoint has a message, or hasn't: every reason there is, as `tocsin notifications show` says it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.integration.cli.desk import Desk
from worker.notification import rfc3339
from worker.sandbox import PATH, Answer, Sandbox

WANTS: Mapping[str, Any] = {}


def configure(desk: Desk, sandbox: Sandbox, source: Mapping[str, Any] = WANTS, **endpoints: Mapping[str, Any]) -> None:
    """The books, and these endpoints beside each other."""
    receiver = sandbox.endpoints()["sandbox"]
    sources = {name: {**sandbox.sources()[name], "every": "1h", **source} for name in ("bookkeep", "realtime_register")}
    desk.configure(sources, {name: {**receiver, **more} for name, more in endpoints.items()})


def polled(desk: Desk, sandbox: Sandbox) -> str:
    """A notification of the books; its id."""
    sandbox.publish(1, "bookkeep")
    desk.tocsin("poll", "bookkeep")
    return identity(desk)


def identity(desk: Desk) -> str:
    return str(desk.tocsin("notifications", "list", "--json").row["id"])


def told(desk: Desk) -> dict[tuple[int, str], tuple[str, str]]:
    """By revision and endpoint: the status, and the explanation."""
    rows = desk.tocsin("notifications", "show", identity(desk), "--json").row["told"]
    return {(row["revision"], row["endpoint"]): (row["status"], row["explanation"]) for row in rows}


FILTERS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "sources": ({"sources": ["realtime_register"]}, '["realtime_register"] doesn\'t match "bookkeep"'),
    "types": ({"types": ["*.updated", "source.*"]}, '["*.updated", "source.*"] doesn\'t match "notification.created"'),
    "kinds": ({"kinds": ["Transfer*"]}, '["Transfer*"] doesn\'t match '),
    "statuses": ({"statuses": ["expired"]}, '["expired"] doesn\'t match "new"'),
}


def test_each_filter_explains_what_it_keeps_away(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={}, **{name: filters for name, (filters, _) in FILTERS.items()})
    polled(desk, sandbox)
    desk.deliver()
    found = told(desk)
    assert found[1, "erp"][0] == "delivered"
    for name, (_, why) in FILTERS.items():
        status, explanation = found[1, name]
        assert (status, explanation.startswith(f"not wanted: {name} = {why}")) == ("unwanted", True)


def test_what_was_made_before_the_endpoint_existed_says_how_to_get_it(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={})
    polled(desk, sandbox)
    configure(desk, sandbox, erp={}, new={})
    status, why = told(desk)[1, "new"]
    assert (status, why.startswith("the endpoint did not exist yet when it was made (it does since ")) == (
        "missing",
        True,
    )
    replayed = desk.tocsin(*why.partition(": tocsin ")[2].split())
    assert (replayed.code, told(desk)[1, "new"][0]) == (0, "pending")


def test_what_a_filter_of_then_kept_away_says_how_to_get_it(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={"kinds": ["Transfer*"]})
    polled(desk, sandbox)
    configure(desk, sandbox, erp={})
    status, why = told(desk)[1, "erp"]
    assert (status, "under which it was made" in why) == ("missing", True)
    replayed = desk.tocsin(*why.partition(": tocsin ")[2].split())
    assert (replayed.code, told(desk)[1, "erp"][0]) == (0, "pending")


def test_what_lies_before_the_start_says_so(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, {"start_at": rfc3339(sandbox.clock() + timedelta(hours=1))}, erp={})
    polled(desk, sandbox)
    (row,) = desk.tocsin("deliveries", "list", "--json").rows
    assert told(desk)[1, "erp"] == ("skipped", f"skipped: before start_at: tocsin redeliver {row['id']}")


def test_a_disabled_endpoint_explains_what_waits_and_what_was_skipped(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={})
    polled(desk, sandbox)
    desk.tocsin("endpoints", "disable", "erp")
    sandbox.change(1, "bookkeep")
    desk.tocsin("poll", "bookkeep")
    found = told(desk)
    assert found[1, "erp"][1].startswith(
        "the endpoint is disabled (disabled by hand): tocsin endpoints enable erp; due "
    )
    assert found[2, "erp"][1].startswith("skipped: endpoint disabled: tocsin redeliver ")


def test_a_failed_attempt_explains_what_waits_for_its_schedule_and_what_waits_for_that(
    desk: Desk, sandbox: Sandbox
) -> None:
    configure(desk, sandbox, erp={})
    polled(desk, sandbox)
    sandbox.receiver.script(PATH, Answer(500))
    desk.deliver()
    sandbox.change(1, "bookkeep")
    desk.tocsin("poll", "bookkeep")
    (next_at,) = {row["next_attempt_at"] for row in desk.tocsin("deliveries", "list", "--json").rows if row["attempts"]}
    found = told(desk)
    assert found[1, "erp"] == ("pending", f"next attempt at {next_at}, after attempt 1 (answered 500)")
    assert found[2, "erp"][1].startswith("waits for revision 1; due since ")


def test_what_is_exhausted_says_so(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={"retry_schedule": []})
    polled(desk, sandbox)
    sandbox.receiver.script(PATH, Answer(500))
    desk.deliver()
    assert told(desk)[1, "erp"][1].startswith("given up after attempt 1 (answered 500): tocsin redeliver ")


def test_a_slowed_endpoint_explains_what_waits(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={})
    polled(desk, sandbox)
    sandbox.receiver.script(PATH, Answer(503))
    desk.deliver()
    assert told(desk)[1, "erp"][1].startswith("the endpoint asked to be left alone until ")


def test_an_endpoint_that_left_the_configuration_is_explained_too(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={}, crm={"kinds": ["Transfer*"]})
    polled(desk, sandbox)
    configure(desk, sandbox)
    found = told(desk)
    assert found[1, "erp"][1].startswith("the endpoint is no longer configured; due since ")
    assert found[1, "crm"] == (
        "missing", "it was not owed when it was made, and the endpoint is no longer configured",
    )  # fmt: skip


def test_people_read_a_line_for_each_revision_and_endpoint(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, erp={}, crm={"kinds": ["Transfer*"]})
    polled(desk, sandbox)
    desk.deliver()
    sandbox.change(1, "bookkeep")
    desk.tocsin("poll", "bookkeep")
    lines = desk.tocsin("notifications", "show", identity(desk)).out.splitlines()
    (head,) = [number for number, line in enumerate(lines) if line.endswith("explanation")]
    found = [line.split(maxsplit=3) for line in lines[head + 1 : head + 5]]
    assert [line[:3] for line in found] == [
        ["1", "crm", "unwanted"], ["1", "erp", "delivered"], ["2", "crm", "unwanted"], ["2", "erp", "pending"],
    ]  # fmt: skip
    assert found[0][3].startswith('not wanted: kinds = ["Transfer*"] doesn\'t match ')
    assert found[1][3].startswith("delivered at 20")


def test_what_could_not_be_stored_is_where_an_unknown_id_says(configured: Desk) -> None:
    said = configured.tocsin("notifications", "show", "00000000-0000-0000-0000-000000000000")
    assert (said.code, said.complaints[0].endswith("what could not be stored is in tocsin rejected list")) == (1, True)
