"""How long things took: `status` and `notifications show`."""

from tests.integration.cli.desk import Desk
from worker.sandbox import Sandbox

SEEN = {"seen_median_s", "seen_p95_s"}
SENT = {"first_attempt_median_s", "first_attempt_p95_s", "delivered_median_s", "delivered_p95_s"}


def delivered(desk: Desk, sandbox: Sandbox) -> None:
    """One notification of bookkeep, delivered."""
    desk.tocsin("poll", "bookkeep")
    sandbox.publish(1, "bookkeep")
    desk.tocsin("poll", "bookkeep")
    assert desk.deliver() == 1


def test_status_tells_how_long_it_took_lately(configured: Desk, sandbox: Sandbox) -> None:
    delivered(configured, sandbox)
    row = configured.tocsin("status", "--json").row
    [source] = [each for each in row["sources"] if each["name"] == "bookkeep"]
    [endpoint] = row["endpoints"]
    assert 0 <= source["seen_median_s"] <= source["seen_p95_s"] < 60
    assert 0 <= endpoint["first_attempt_median_s"] <= endpoint["delivered_median_s"] < 60
    assert [each["seen_p95_s"] for each in row["sources"] if each["name"] == "govapp"] == [None]


def test_status_shows_a_person_the_same(configured: Desk, sandbox: Sandbox) -> None:
    delivered(configured, sandbox)
    words = configured.tocsin("status").out
    assert [name for name in SEEN | SENT if name.replace("_", " ") not in words] == []


def test_the_rows_of_the_lists_are_as_they_were(configured: Desk) -> None:
    assert not SEEN & configured.tocsin("sources", "list", "--json").rows[0].keys()
    assert not SENT & configured.tocsin("endpoints", "list", "--json").rows[0].keys()


def test_a_notification_shows_its_clocks_for_each_endpoint_and_revision(configured: Desk, sandbox: Sandbox) -> None:
    delivered(configured, sandbox)
    [listed] = configured.tocsin("notifications", "list", "--json").rows
    [clocks] = configured.tocsin("notifications", "show", listed["id"], "--json").row["clocks"]
    assert (clocks["endpoint"], clocks["revision"], clocks["occurred_at"]) == ("sandbox", 1, listed["occurred_at"])
    assert 0 <= clocks["stored_to_first_attempt_s"] <= clocks["stored_to_delivered_s"] < 60
    assert "stored to delivered s" in configured.tocsin("notifications", "show", listed["id"]).out
