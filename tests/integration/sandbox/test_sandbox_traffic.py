"""What happens in the sandbox: publishing, changing, withdrawing, and all of it from a seed."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event

import pytest

from worker.notification import Status
from worker.sandbox import HandClock, Happening, Mix, Sandbox, paced

CLOSED = {Status.RESOLVED, Status.IGNORED}


def history(clock: HandClock, seed: int) -> list[Happening]:
    sandbox = Sandbox(clock, seed)
    return list(islice(sandbox.traffic(Mix(withdraw=5)), 200))


def test_the_same_seed_does_the_same_and_another_does_not(clock: HandClock) -> None:
    assert history(clock, 1) == history(clock, 1)
    assert history(clock, 1) != history(clock, 2)


def test_traffic_is_of_every_kind_at_every_provider(clock: HandClock) -> None:
    made = {(one.what, one.provider) for one in history(clock, 1)}
    providers = ("bookkeep", "govapp", "realtime_register")
    assert {one for one, _ in made} == {"published", "published late", "changed", "withdrawn"}
    assert {slug for _, slug in made} == set(providers)


def test_where_nothing_can_change_something_is_published(clock: HandClock) -> None:
    happening = next(Sandbox(clock).traffic(Mix(publish=0, publish_late=0, change=1)))
    assert happening.what == "published"


def test_a_late_row_is_shown_after_its_own_timestamp(sandbox: Sandbox, clock: HandClock) -> None:
    (row,) = sandbox.publish(1, "govapp", timedelta(seconds=30))
    ledger = sandbox.govapp.ledger
    before = (ledger.visible(), ledger.find(row.external_id), sandbox.published()["govapp"])
    clock.turn(timedelta(seconds=30))
    after = (ledger.visible(), ledger.find(row.external_id), sandbox.published()["govapp"])
    assert (before, after) == (([], None, []), ([row], row, [row]))
    assert row.raw["createdOn"] == "2026-03-20T12:00:00.000000Z"


@pytest.mark.parametrize("slug", ["realtime_register", "bookkeep", "govapp"])
def test_rows_change_until_they_are_closed(sandbox: Sandbox, slug: str) -> None:
    sandbox.publish(20, slug)
    while sandbox.change(20, slug):
        pass
    rows = sandbox.published()[slug]
    assert {row.state.status for row in rows} <= CLOSED
    assert all(len({str(state.raw) for state in row.states}) == len(row.states) for row in rows)


def test_withdrawn_rows_are_shown_no_longer(sandbox: Sandbox) -> None:
    sandbox.publish(3, "bookkeep")
    (gone,) = sandbox.withdraw(1, "bookkeep")
    ledger = sandbox.bookkeep.ledger
    assert (ledger.find(gone.external_id), len(ledger.visible()), len(ledger.all())) == (None, 2, 3)
    with pytest.raises(ValueError, match="is withdrawn"):
        ledger.change(gone.external_id, {}, Status.NEW)
    with pytest.raises(ValueError, match="is withdrawn"):
        ledger.withdraw(gone.external_id)


def test_an_id_is_published_once(sandbox: Sandbox) -> None:
    sandbox.bookkeep.ledger.publish("1", {})
    with pytest.raises(ValueError, match="published already"):
        sandbox.bookkeep.ledger.publish("1", {})


def test_what_never_arrived_is_missed(sandbox: Sandbox) -> None:
    sandbox.publish(3)
    assert [line.partition(": ")[2][:14] for line in sandbox.broken_promises()] == ["its last state"] * 3
    assert (sandbox.tally().rows, sandbox.tally().revisions) == (3, 0)


def test_the_settings_name_every_source_and_the_receiver(sandbox: Sandbox) -> None:
    sources, endpoints = sandbox.sources(), sandbox.endpoints()
    assert {name: source["provider"] for name, source in sources.items()} == {name: name for name in sandbox.apis}
    assert endpoints["sandbox"]["url"].startswith("http://127.0.0.1:")


def test_without_another_clock_the_sandbox_goes_by_the_machines() -> None:
    before = datetime.now(UTC)
    (row,) = Sandbox().publish()
    assert before <= row.occurred_at <= datetime.now(UTC)


def test_paced_traffic_ends_when_it_is_told_to(sandbox: Sandbox) -> None:
    stop = Event()
    made = []
    for happening in paced(sandbox.traffic(), 1000, stop):
        made.append(happening)
        if len(made) == 3:
            stop.set()
    assert len(made) == 3
