import pytest

from tests.integration.cli.desk import Desk
from worker.sandbox import Sandbox


def due(desk: Desk) -> list[str]:
    with desk.house() as house:
        return house.due_sources("bookkeep")


def test_a_new_source_is_due_at_once(configured: Desk) -> None:
    assert due(configured) == ["bookkeep"]


def test_a_paused_source_is_not_polled_by_schedule(configured: Desk) -> None:
    said = configured.tocsin("sources", "pause", "bookkeep")
    assert (said.code, said.out, due(configured)) == (0, "bookkeep is paused\n", [])


def test_a_paused_source_is_polled_by_hand_and_stays_paused(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    configured.tocsin("sources", "pause", "bookkeep")
    said = configured.tocsin("poll", "bookkeep", "--json")
    (row,) = [row for row in configured.tocsin("sources", "list", "--json").rows if row["name"] == "bookkeep"]
    assert (said.code, said.row["new"], row["status"], due(configured)) == (0, 1, "paused", [])
    assert row["reason"] == "paused by hand"


def test_a_resumed_source_is_due_at_once(configured: Desk) -> None:
    configured.tocsin("poll", "bookkeep")
    configured.tocsin("sources", "pause", "bookkeep")
    assert due(configured) == []
    said = configured.tocsin("sources", "resume", "bookkeep")
    assert (said.code, said.out, due(configured)) == (0, "bookkeep is due now\n", ["bookkeep"])


def test_resume_ends_a_pause_for_refused_credentials(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.faults.refuse()
    assert (configured.tocsin("poll", "bookkeep").code, due(configured)) == (1, [])
    sandbox.bookkeep.faults.refuse(refusing=False)
    assert configured.tocsin("sources", "resume", "bookkeep").code == 0
    assert (due(configured), configured.tocsin("status").code) == (["bookkeep"], 0)


def test_a_good_poll_by_hand_does_not_hide_why_a_source_is_paused(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.faults.refuse()
    configured.tocsin("poll", "bookkeep")
    sandbox.bookkeep.faults.refuse(refusing=False)
    configured.tocsin("poll", "bookkeep")
    (row,) = [row for row in configured.tocsin("sources", "list", "--json").rows if row["name"] == "bookkeep"]
    assert (row["status"], row["reason"] is None) == ("paused", False)


@pytest.mark.parametrize("words", [("list",), ("list", "--json")])
def test_sources_are_listed_by_name(configured: Desk, words: tuple[str, ...]) -> None:
    said = configured.tocsin("sources", *words)
    found = [said.out.index(name) for name in ("bookkeep", "govapp", "realtime_register")]
    assert (said.code, found) == (0, sorted(found))
