"""What goes wrong in the tools of today (POLLING, first paragraph), for every provider, with the real store."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest

from tests.integration.store.desk import Desk
from tests.providers.stage import Stage, every_provider
from worker import poll
from worker.intake import Subscription, Surroundings
from worker.interest import Interest
from worker.moment import Schedule
from worker.progress import FUTURE_GRACE, PollSummary
from worker.provider import Provider
from worker.sandbox.wire import Request
from worker.store.session import Database
from worker.store.tables import Message, NotificationRow, RejectedRow

EVERY, OVERLAP = timedelta(minutes=5), timedelta(minutes=10)
BUILT_IN = ["bookkeep", "govapp", "realtime_register"]


@dataclass
class Watch:
    """One provider of ours before its stand-in, polled as the source `books` and told to the endpoint `erp`."""

    stage: Stage
    desk: Desk
    provider: Provider

    def poll(self) -> PollSummary:
        """One poll, now."""
        subscription = Subscription(
            source="books",
            provider=self.provider,
            schedule=Schedule(EVERY),
            overlap=OVERLAP,
            track_for=timedelta(days=30),
            interests=(Interest("erp"),),
        )
        world = Surroundings(self.desk.database, self.stage.clock, Random(1))
        summary = poll.poll(subscription, world, only_due=False)
        assert summary is not None
        return summary

    def polls(self, span: timedelta) -> None:
        """Polls for so long."""
        for _ in range(span // EVERY):
            self.stage.clock.turn(EVERY)
            self.poll()

    @property
    def kept(self) -> set[str]:
        """The ids of all that is stored."""
        return {row.external_id for row in self.desk.rows(NotificationRow)}

    def told(self, external_id: str) -> list[int]:
        """The revisions of a notification that were told."""
        (row,) = [row for row in self.desk.rows(NotificationRow) if row.external_id == external_id]
        return sorted(message.revision for message in self.desk.rows(Message) if message.notification_id == row.id)


@pytest.fixture
def watch(stage: Stage, database: Database) -> Watch:
    desk = Desk(database, stage.clock.at)
    desk.source()
    desk.endpoint("erp")
    return Watch(stage, desk, stage.provider(page_size=5))


@every_provider
@pytest.mark.parametrize("seed", range(3))
def test_rows_lost_at_page_borders_when_rows_vanish_while_paging(watch: Watch, seed: int) -> None:
    watch.stage.grow(30)
    random = Random(seed)

    def vanish(_: Request) -> None:
        rows = watch.stage.api.ledger.visible()
        for row in random.sample(rows, 2) if len(rows) > 12 else ():
            watch.stage.api.ledger.withdraw(row.external_id)

    watch.stage.api.meanwhile = vanish
    watch.poll()

    assert watch.stage.visible() - watch.kept == set()


@every_provider
@pytest.mark.parametrize("cap", [1, 3, 4])
def test_nearly_half_the_rows_lost_when_the_server_caps_the_page_below_what_was_asked(watch: Watch, cap: int) -> None:
    watch.stage.grow(23)
    watch.stage.api.faults.cap(cap)
    watch.poll()

    assert watch.kept == watch.stage.visible()


@every_provider
def test_one_future_dated_row_that_stops_ingestion_for_good(watch: Watch) -> None:
    stage, case = watch.stage, watch.stage.case
    ahead = case.written(stage.clock.at + timedelta(days=365))
    stage.grow(3)
    stage.publish("from the future", lambda raw: dict(case.dated(raw, ahead)))
    watch.poll()
    for _ in range(3):
        stage.grow(2)
        stage.clock.turn(EVERY)
        watch.poll()

    assert stage.visible() - watch.kept - {"from the future"} == set()
    mark = watch.desk.source_row().high_water
    assert mark is not None
    assert mark <= stage.clock.at + FUTURE_GRACE


@every_provider
def test_a_late_row_never_seen(watch: Watch) -> None:
    watch.stage.grow(3)
    (late,) = watch.stage.sandbox.publish(1, watch.stage.slug, OVERLAP - timedelta(minutes=2))
    watch.stage.grow(3)
    watch.poll()
    assert late.external_id not in watch.kept
    watch.stage.clock.turn(EVERY)
    watch.stage.grow(2)
    watch.poll()

    assert watch.kept == watch.stage.visible()
    assert late.external_id in watch.kept


@pytest.mark.parametrize("slug", BUILT_IN)
def test_a_status_that_changes_after_the_cursor_has_passed_never_seen(watch: Watch) -> None:
    (old,) = watch.stage.grow(1)
    watch.poll()
    watch.stage.clock.turn(timedelta(hours=2))
    (newer,) = watch.stage.grow(1)
    watch.poll()
    changed = {row.external_id for row in watch.stage.sandbox.change(2, watch.stage.slug)}
    watch.polls(timedelta(minutes=30))

    assert changed == {old.external_id, newer.external_id}
    assert watch.told(old.external_id) == [1, 2]


@every_provider
def test_one_item_without_an_id_that_fails_the_whole_run(watch: Watch) -> None:
    watch.stage.grow(4)
    watch.stage.publish("nameless", lambda raw: dict(watch.stage.case.without_id(raw)))
    watch.stage.grow(4)
    summary = watch.poll()

    assert watch.kept == watch.stage.visible() - {"nameless"}
    assert (summary.rejected, len(watch.desk.rows(RejectedRow))) == (1, 1)
    assert summary.covered_until == watch.desk.source_row().covered_until
