from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.cli.desk import Desk
from worker.notification import rfc3339
from worker.sandbox import PATH, Answer, Sandbox

NOTIFICATION = {
    "id", "source", "provider", "external_id", "revision", "kind", "title", "status", "provider_status", "subject",
    "message", "reason", "occurred_at", "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at",
    "first_seen_at", "correlation_id", "events", "raw", "delivered_at", "deliveries",
}  # fmt: skip
DELIVERY = {
    "id", "message_id", "type", "notification_id", "source", "external_id", "revision", "endpoint", "status", "reason",
    "attempts", "next_attempt_at", "delivered_at", "last_outcome", "last_status_code",
}  # fmt: skip
ATTEMPT = {
    "delivery_id", "number", "trigger", "started_at", "duration_ms", "outcome", "status_code", "response_excerpt",
}  # fmt: skip
INSTANTS = (
    "occurred_at", "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at", "first_seen_at",
    "delivered_at", "next_attempt_at", "started_at",
)  # fmt: skip


def ids(desk: Desk, *words: str) -> list[str]:
    said = desk.tocsin("notifications", "list", "--json", *words)
    assert said.code == 0
    return [row["external_id"] for row in said.rows]


def are_instants(row: dict[str, Any]) -> bool:
    texts = [row[name] for name in INSTANTS if row.get(name) is not None]
    return [rfc3339(datetime.fromisoformat(text)) for text in texts] == texts


@pytest.fixture
def polled(configured: Desk, sandbox: Sandbox) -> Desk:
    """Three rows of the books and then two of the registrar, delivered."""
    sandbox.publish(3, "bookkeep")
    sandbox.publish(2, "realtime_register")
    for name in ("bookkeep", "realtime_register"):
        configured.tocsin("poll", name)
    configured.deliver()
    return configured


def test_a_notification_has_the_keys_of_a_message_and_its_fate(polled: Desk) -> None:
    rows = polled.tocsin("notifications", "list", "--json").rows
    assert all(row.keys() >= NOTIFICATION and "previous_status" not in row for row in rows)
    assert [row["deliveries"] for row in rows] == [{"sandbox": "delivered"}] * 5
    assert all(are_instants(row) for row in rows)


def test_a_notification_says_what_the_receiver_was_told(polled: Desk, sandbox: Sandbox) -> None:
    told = {one.content["data"]["id"]: one.content["data"] for one in sandbox.receiver.received(PATH)}
    rows = polled.tocsin("notifications", "list", "--json").rows
    assert len(told) == 5
    for row in rows:
        expected = {key: value for key, value in told[row["id"]].items() if key != "previous_status"}
        assert {key: row[key] for key in expected} == expected


def test_a_delivery_has_its_keys_and_its_message_id_is_the_webhook_id(polled: Desk, sandbox: Sandbox) -> None:
    rows = polled.tocsin("deliveries", "list", "--json").rows
    assert all(row.keys() >= DELIVERY and are_instants(row) for row in rows)
    assert {row["message_id"] for row in rows} == {one.webhook_id for one in sandbox.receiver.received(PATH)}
    assert {(row["status"], row["attempts"], row["last_outcome"], row["last_status_code"]) for row in rows} == {
        ("delivered", 1, "answered", 204)
    }
    assert [row["next_attempt_at"] for row in rows] == [None] * 5


def test_lists_show_the_newest_first(polled: Desk) -> None:
    rows = polled.tocsin("notifications", "list", "--json").rows
    assert [row["source"] for row in rows] == ["realtime_register"] * 2 + ["bookkeep"] * 3
    numbers = [row["id"] for row in polled.tocsin("deliveries", "list", "--json").rows]
    assert numbers == sorted(numbers, reverse=True)


def test_a_limit_takes_the_newest_and_0_takes_all(polled: Desk) -> None:
    assert [len(ids(polled, "--limit", limit)) for limit in ("1", "4", "0")] == [1, 4, 5]
    lists = [polled.tocsin("deliveries", "list", "--json", "--limit", limit).rows for limit in ("2", "0")]
    assert [row["id"] for row in lists[0]] == [row["id"] for row in lists[1]][:2]


def test_a_hundred_are_shown_where_nothing_is_said(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(120, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    assert [len(ids(configured)), len(ids(configured, "--limit", "0"))] == [100, 120]
    assert len(configured.tocsin("deliveries", "list", "--json").rows) == 100


def test_notifications_are_filtered_by_source_and_status(polled: Desk, sandbox: Sandbox) -> None:
    sandbox.change(1, "bookkeep")
    polled.tocsin("poll", "bookkeep")
    rows = polled.tocsin("notifications", "list", "--json", "--source", "bookkeep").rows
    counts = {status: len(ids(polled, "--status", status)) for status in ("new", "resolved", "ignored", "expired")}
    assert [row["source"] for row in rows] == ["bookkeep"] * 3
    assert (counts["new"], counts["resolved"] + counts["ignored"], counts["expired"]) == (4, 1, 0)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("TransferDomainEvent", {"1"}),
        ("Transfer*", {"1", "2"}),
        ("*Event", {"1", "3"}),
        ("transfer*", set()),
        ("[CT]*Event", {"1", "3"}),
        ("T?ansfer%", set()),
        ("Transfer_*", {"2"}),
        ("*", {"1", "2", "3"}),
    ],
)
def test_a_kind_is_filtered_by_shell_wildcards_as_an_endpoint_does(
    configured: Desk, sandbox: Sandbox, pattern: str, matches: set[str]
) -> None:
    for number, kind in enumerate(("TransferDomainEvent", "Transfer_Of%", "CreateEvent", None), 1):
        raw = {"id": number, "fireDate": rfc3339(sandbox.clock()), "eventType": kind}
        sandbox.realtime_register.ledger.publish(str(number), raw)
    configured.tocsin("poll", "realtime_register")
    assert set(ids(configured, "--kind", pattern)) == matches


def test_deliveries_are_filtered_by_endpoint_and_status(desk: Desk, sandbox: Sandbox) -> None:
    one = sandbox.endpoints()["sandbox"]
    sources = {"bookkeep": {**sandbox.sources()["bookkeep"], "every": "1h"}}
    desk.configure(sources, {"a": one, "b": {**one, "sources": ["bookkeep"]}})
    sandbox.publish(2, "bookkeep")
    desk.tocsin("endpoints", "disable", "b")
    desk.tocsin("poll", "bookkeep")
    found = {
        words: [row["endpoint"] for row in desk.tocsin("deliveries", "list", "--json", *words).rows]
        for words in [("--endpoint", "a"), ("--status", "skipped"), ("--endpoint", "a", "--status", "skipped")]
    }
    assert list(found.values()) == [["a", "a"], ["b", "b"], []]


def test_since_is_inclusive_and_until_is_not(polled: Desk) -> None:
    seen = polled.tocsin("notifications", "list", "--json", "--source", "bookkeep").rows[0]["first_seen_at"]
    assert (len(ids(polled, "--since", seen)), len(ids(polled, "--until", seen))) == (5, 0)
    made = polled.tocsin("deliveries", "list", "--json").rows
    assert len(polled.tocsin("deliveries", "list", "--json", "--since", seen).rows) == len(made)


def test_a_date_without_a_time_is_midnight_in_utc(polled: Desk) -> None:
    today = datetime.now(UTC).date()
    yesterday, tomorrow = (str(today + timedelta(days=days)) for days in (-1, 2))
    assert [len(ids(polled, *words)) for words in [("--since", yesterday), ("--until", yesterday)]] == [5, 0]
    assert [len(ids(polled, *words)) for words in [("--until", tomorrow), ("--since", tomorrow)]] == [5, 0]


def test_a_time_in_another_zone_is_the_same_instant(polled: Desk) -> None:
    seen = datetime.fromisoformat(polled.tocsin("notifications", "list", "--json").rows[-1]["first_seen_at"])
    offset = f"{(seen + timedelta(hours=2)).replace(tzinfo=None).isoformat()}+02:00"
    assert (len(ids(polled, "--since", offset)), len(ids(polled, "--until", offset))) == (5, 0)


@pytest.mark.parametrize("words", [("notifications", "list", "--source"), ("rejected", "list", "--source")])
def test_a_list_of_an_unknown_source_exits_2(configured: Desk, words: tuple[str, ...]) -> None:
    said = configured.tocsin(*words, "nobody")
    assert (said.code, said.out, said.complaints[0].startswith('"nobody" is not a source; known: ')) == (2, "", True)


def test_a_list_of_an_unknown_endpoint_exits_2(configured: Desk) -> None:
    said = configured.tocsin("deliveries", "list", "--endpoint", "nobody")
    assert (said.code, said.complaints) == (2, ['"nobody" is not an endpoint; known: sandbox'])


def test_an_empty_list_is_no_line_of_json_and_a_table_without_rows(configured: Desk) -> None:
    assert configured.tocsin("notifications", "list", "--json").out == ""
    assert len(configured.tocsin("notifications", "list").out.splitlines()) == 1


def test_show_tells_revisions_deliveries_and_attempts(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    sandbox.receiver.script(PATH, Answer(500, b"not now"))
    configured.tocsin("poll", "bookkeep")
    configured.deliver()
    sandbox.change(1, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    identity = configured.tocsin("notifications", "list", "--json").row["id"]
    row = configured.tocsin("notifications", "show", identity, "--json").row
    first, second = row["delivery_rows"]
    (attempt,) = first["attempt_rows"]
    assert row.keys() >= NOTIFICATION
    assert [(one["revision"], one["type"]) for one in row["revisions"]] == [
        (1, "notification.created"),
        (2, "notification.updated"),
    ]
    assert (first.keys() >= DELIVERY, second["attempt_rows"], attempt.keys() >= ATTEMPT) == (True, [], True)
    assert (attempt["delivery_id"], attempt["number"], attempt["trigger"]) == (first["id"], 1, "first")
    assert (attempt["outcome"], attempt["status_code"], attempt["response_excerpt"]) == ("answered", 500, "not now")
    assert (are_instants(attempt), attempt["duration_ms"] >= 0) == (True, True)


def test_show_for_people_has_the_same(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "govapp")
    sandbox.receiver.script(PATH, Answer(500, b"not now"))
    configured.tocsin("poll", "govapp")
    configured.deliver()
    row = configured.tocsin("notifications", "list", "--json").row
    said = configured.tocsin("notifications", "show", row["id"])
    assert said.code == 0
    for word in (row["external_id"], "notification.created", row["first_seen_at"], "not now", "500", "first"):
        assert word in said.out
    assert "{'" not in said.out


def test_show_names_the_subject_and_the_events(configured: Desk, sandbox: Sandbox) -> None:
    at = rfc3339(sandbox.clock())
    raw = {"id": "n1", "status": "OPENED", "createdOn": at, "events": [{"type": "CREATED", "timestamp": at}]}
    sandbox.govapp.ledger.publish("n1", raw)
    sandbox.publish(1, "bookkeep")
    configured.tocsin("poll", "govapp")
    configured.tocsin("poll", "bookkeep")
    identities = {row["source"]: row["id"] for row in configured.tocsin("notifications", "list", "--json").rows}
    lines = configured.tocsin("notifications", "show", identities["govapp"]).out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("events:")] == [f"type: CREATED, at: {at}"]
    lines = configured.tocsin("notifications", "show", identities["bookkeep"]).out.splitlines()
    (subject,) = [line.split(maxsplit=1)[1] for line in lines if line.startswith("subject:")]
    assert subject.startswith("type: organization, id: ")


def test_show_before_any_attempt_has_no_table_of_them(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    identity = configured.tocsin("notifications", "list", "--json").row["id"]
    assert "trigger" not in configured.tocsin("notifications", "show", identity).out


def test_show_of_a_notification_that_is_not_there_exits_1(configured: Desk) -> None:
    identity = str(uuid4())
    said = configured.tocsin("notifications", "show", identity)
    complaint = f"there is no notification {identity}; what could not be stored is in tocsin rejected list"
    assert (said.code, said.out, said.complaints) == (1, "", [complaint])


def test_a_delivery_to_an_endpoint_that_left_the_configuration_says_so(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    configured.configure({"bookkeep": sandbox.sources()["bookkeep"]}, {})
    row = configured.tocsin("deliveries", "list", "--json").row
    assert (row["endpoint"], row["status"], row["reason"]) == ("sandbox", "pending", "endpoint is not configured")
