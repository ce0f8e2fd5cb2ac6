from datetime import timedelta
from typing import Any

import pytest

from tests.integration.cli.desk import Desk
from worker.notification import rfc3339
from worker.sandbox import PATH, Sandbox


def configure(desk: Desk, sandbox: Sandbox, start_at: str) -> None:
    sources = {name: {**keys, "every": "1h", "start_at": start_at} for name, keys in sandbox.sources().items()}
    desk.configure(sources, sandbox.endpoints())


def publish_old(sandbox: Sandbox) -> None:
    """A row of two days ago at a provider that can filter by time, and one at a provider that can't."""
    at = sandbox.clock() - timedelta(days=2)
    sandbox.realtime_register.ledger.publish("1", {"id": 1, "fireDate": rfc3339(at)}, occurred_at=at)
    attributes: dict[str, Any] = {"id": 2, "name": "mapping_required", "created_at": rfc3339(at), "state": "Pending"}
    raw = {"id": "2", "type": "notification", "attributes": attributes}
    sandbox.bookkeep.ledger.publish("2", raw, occurred_at=at)


def fates(desk: Desk) -> dict[str, tuple[str, str | None]]:
    return {row["source"]: (row["status"], row["reason"]) for row in desk.tocsin("deliveries", "list", "--json").rows}


def poll_all(desk: Desk) -> None:
    for name in ("bookkeep", "realtime_register"):
        assert desk.tocsin("poll", name).code == 0


def test_now_leaves_the_past_and_says_so_of_what_could_not_be_filtered(desk: Desk, sandbox: Sandbox) -> None:
    publish_old(sandbox)
    configure(desk, sandbox, "now")
    poll_all(desk)
    assert fates(desk) == {"bookkeep": ("skipped", "before start_at")}
    assert (desk.deliver(), sandbox.receiver.received(PATH)) == (0, [])


def test_now_is_when_the_source_was_first_seen(desk: Desk, sandbox: Sandbox) -> None:
    configure(desk, sandbox, "now")
    desk.tocsin("status")
    sandbox.publish(1, "bookkeep")
    poll_all(desk)
    assert fates(desk) == {"bookkeep": ("pending", None)}


def test_beginning_takes_all(desk: Desk, sandbox: Sandbox) -> None:
    publish_old(sandbox)
    configure(desk, sandbox, "beginning")
    poll_all(desk)
    assert fates(desk) == {"bookkeep": ("pending", None), "realtime_register": ("pending", None)}


@pytest.mark.parametrize(("days", "expected"), [(1, ("skipped", "before start_at")), (3, ("pending", None))])
def test_an_instant_takes_what_is_newer(
    desk: Desk, sandbox: Sandbox, days: int, expected: tuple[str, str | None]
) -> None:
    publish_old(sandbox)
    configure(desk, sandbox, rfc3339(sandbox.clock() - timedelta(days=days)) or "")
    poll_all(desk)
    assert fates(desk)["bookkeep"] == expected


def test_another_start_at_changes_nothing_that_was_decided(desk: Desk, sandbox: Sandbox) -> None:
    publish_old(sandbox)
    configure(desk, sandbox, "now")
    poll_all(desk)
    configure(desk, sandbox, "beginning")
    poll_all(desk)
    assert fates(desk) == {"bookkeep": ("skipped", "before start_at")}


def test_a_later_change_of_an_older_notification_is_owed(desk: Desk, sandbox: Sandbox) -> None:
    publish_old(sandbox)
    configure(desk, sandbox, "now")
    poll_all(desk)
    sandbox.change(1, "bookkeep")
    poll_all(desk)
    desk.deliver()
    assert [one.content["type"] for one in sandbox.receiver.received(PATH)] == ["notification.updated"]
