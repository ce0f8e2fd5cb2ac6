from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.cli.desk import Desk
from worker.sandbox import PATH, Answer, HandClock, Sandbox


def only(desk: Desk) -> dict[str, Any]:
    return desk.tocsin("deliveries", "list", "--json").row


def attempts(desk: Desk) -> list[tuple[int, str, int | None]]:
    shown = desk.tocsin("notifications", "show", only(desk)["notification_id"], "--json").row
    (delivery,) = shown["delivery_rows"]
    return [(one["number"], one["trigger"], one["status_code"]) for one in delivery["attempt_rows"]]


def publish_one(desk: Desk, sandbox: Sandbox) -> str:
    """Owes one delivery; its number, as a person types it."""
    sandbox.publish(1, "bookkeep")
    desk.tocsin("poll", "bookkeep")
    return str(only(desk)["id"])


def test_a_delivered_one_is_sent_again_with_the_same_id_and_the_same_bytes(configured: Desk, sandbox: Sandbox) -> None:
    number = publish_one(configured, sandbox)
    configured.deliver()
    said = configured.tocsin("redeliver", number)
    assert (said.code, said.out, only(configured)["status"]) == (0, "1 owed again\n", "pending")
    configured.deliver()
    first, second = sandbox.receiver.received(PATH)
    assert (first.webhook_id, first.body) == (second.webhook_id, second.body)
    assert attempts(configured) == [(1, "first", 204), (2, "redelivery", 204)]


def test_an_exhausted_one_has_a_whole_schedule_before_it_again(desk: Desk, sandbox: Sandbox) -> None:
    sources = {"bookkeep": {**sandbox.sources()["bookkeep"], "every": "1h"}}
    desk.configure(sources, {"sandbox": {**sandbox.endpoints()["sandbox"], "retry_schedule": ["10s"]}})
    sandbox.receiver.script(PATH, *[Answer(500)] * 4)
    number = publish_one(desk, sandbox)
    for minutes in (0, 1):
        with desk.house(HandClock(datetime.now(UTC) + timedelta(minutes=minutes))) as house:
            house.deliver()
    assert (only(desk)["status"], only(desk)["attempts"]) == ("exhausted", 2)
    desk.tocsin("redeliver", number)
    for minutes in (0, 1):
        with desk.house(HandClock(datetime.now(UTC) + timedelta(minutes=minutes))) as house:
            house.deliver()
    assert attempts(desk) == [(1, "first", 500), (2, "retry", 500), (3, "redelivery", 500), (4, "retry", 500)]
    assert (only(desk)["status"], only(desk)["attempts"]) == ("exhausted", 4)


def test_a_skipped_one_is_sent_and_says_no_more_why_it_was_not(configured: Desk, sandbox: Sandbox) -> None:
    configured.tocsin("endpoints", "disable", "sandbox")
    number = publish_one(configured, sandbox)
    configured.tocsin("endpoints", "enable", "sandbox")
    assert (only(configured)["status"], configured.deliver()) == ("skipped", 0)
    configured.tocsin("redeliver", number)
    assert (configured.deliver(), only(configured)["status"], only(configured)["reason"]) == (1, "delivered", None)
    assert attempts(configured) == [(1, "redelivery", 204)]


def test_one_that_waits_for_its_retry_is_sent_at_once(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.script(PATH, Answer(500))
    number = publish_one(configured, sandbox)
    assert (configured.deliver(), configured.deliver()) == (1, 0)
    configured.tocsin("redeliver", number)
    assert (configured.deliver(), only(configured)["status"]) == (1, "delivered")


def test_the_first_date_of_delivery_stays(configured: Desk, sandbox: Sandbox) -> None:
    number = publish_one(configured, sandbox)
    configured.deliver()
    first = configured.tocsin("notifications", "list", "--json").row["delivered_at"]
    configured.tocsin("redeliver", number)
    configured.deliver()
    assert configured.tocsin("notifications", "list", "--json").row["delivered_at"] == first


def test_unknown_ones_are_named_and_the_others_are_owed(configured: Desk, sandbox: Sandbox) -> None:
    number = publish_one(configured, sandbox)
    said = configured.tocsin("redeliver", number, number, "998", "999")
    assert (said.code, said.out, said.complaints) == (1, "1 owed again\n", ["there is no delivery 998, 999"])
