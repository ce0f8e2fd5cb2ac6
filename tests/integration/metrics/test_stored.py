"""What is read from the database when metrics are asked for."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.fakes import AT, FakeClock, item
from tests.integration.metrics.scraped import samples
from tests.integration.store.desk import Desk, statements
from worker.metrics import Stored
from worker.notification import RejectedItem
from worker.store import heartbeats, rejected
from worker.store.session import Database
from worker.store.tables import Delivery, EndpointRow, Message, Source


class Timer:
    """Seconds that pass when told to, and some at each reading."""

    def __init__(self, each: float = 0.0) -> None:
        self.at, self.each = 100.0, each

    def __call__(self) -> float:
        self.at += self.each
        return self.at


def read(collector: Stored) -> dict[tuple[str, ...], float]:
    collector.look()
    registry = CollectorRegistry()
    registry.register(collector)
    return samples(generate_latest(registry).decode())


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def stored(desk: Desk, clock: FakeClock, timer: Timer) -> Stored:
    return Stored(desk.database, ["books"], ["erp", "crm"], clock, timer)


def test_what_waits_is_told_by_endpoint_with_the_age_of_the_oldest(
    desk: Desk, clock: FakeClock, stored: Stored
) -> None:
    desk.store(item("1"), item("2"))
    desk.store(item("3"), now=AT + timedelta(seconds=30))
    clock.turn(seconds=90)
    found = read(stored)
    assert (found["tocsin_endpoint_pending", "erp"], found["tocsin_endpoint_pending", "crm"]) == (3, 3)
    assert found["tocsin_endpoint_oldest_pending_seconds", "erp"] == 90


def test_where_nothing_waits_the_gauges_are_zero(desk: Desk, stored: Stored) -> None:
    desk.store(item("1"))
    desk.deliver()
    found = read(stored)
    names = ["pending", "oldest_pending_seconds", "failures", "failing_seconds", "disabled"]
    assert [found[f"tocsin_endpoint_{name}", "erp"] for name in names] == [0, 0, 0, 0, 0]


def test_a_failing_and_a_disabled_endpoint_are_told_apart(desk: Desk, clock: FakeClock, stored: Stored) -> None:
    desk.change(EndpointRow, {"failures": 7, "failing_since": AT}, name="erp")
    desk.change(EndpointRow, {"disabled_at": AT}, name="crm")
    clock.turn(seconds=60)
    found = read(stored)
    assert (found["tocsin_endpoint_failures", "erp"], found["tocsin_endpoint_failing_seconds", "erp"]) == (7, 60)
    assert (found["tocsin_endpoint_disabled", "erp"], found["tocsin_endpoint_disabled", "crm"]) == (0, 1)


def test_a_sources_lag_runs_from_what_is_covered_or_from_its_beginning(
    desk: Desk, clock: FakeClock, stored: Stored, timer: Timer
) -> None:
    clock.turn(seconds=40)
    assert read(stored)["tocsin_source_lag_seconds", "books"] == 40
    desk.change(Source, {"covered_until": AT + timedelta(seconds=30), "failures": 2, "paused_at": AT}, name="books")
    timer.at += 60
    found = read(stored)
    names = ["lag_seconds", "failures", "paused"]
    assert [found[f"tocsin_source_{name}", "books"] for name in names] == [10, 2, 1]


def test_what_was_given_up_and_what_was_rejected_is_counted(desk: Desk, stored: Stored) -> None:
    desk.store(item("1"), item("2"))
    desk.change(Delivery, {"status": "exhausted"}, message_id=desk.rows(Message)[0].id)
    with desk.database.transaction() as session:
        rejected.keep(session, desk.source_row().id or 0, [RejectedItem({"id": None}, "no id")], AT)
    found = read(stored)
    assert (found["tocsin_endpoint_exhausted", "erp"], found["tocsin_endpoint_pending", "erp"]) == (1, 1)
    assert found["tocsin_source_rejected", "books"] == 1


@pytest.mark.parametrize(("name", "metric"), [("sweep", "sweep"), ("tick", "tick"), ("pruned", "prune")])
def test_the_last_sweep_tick_and_prune_are_told_once_there_was_one(
    desk: Desk, clock: FakeClock, stored: Stored, timer: Timer, name: str, metric: str
) -> None:
    assert (f"tocsin_last_{metric}_seconds",) not in read(stored)
    heartbeats.Pulse(desk.database, name).beat(AT)
    timer.at += 6
    clock.turn(seconds=90)
    assert read(stored)[f"tocsin_last_{metric}_seconds",] == 90


def test_what_is_no_longer_configured_is_no_series(desk: Desk, stored: Stored) -> None:
    desk.source("former")
    desk.endpoint("former")
    assert [] == [key for key in read(stored) if "former" in key]


def test_many_who_ask_cost_one_look_in_five_seconds(desk: Desk, stored: Stored, timer: Timer) -> None:
    with statements(desk.database) as said:
        for _ in range(10):
            read(stored)
        once = len(said)
        timer.at += 5.1
        read(stored)
    assert len(said) == 2 * once > 0


def test_a_look_that_took_long_is_kept_for_twenty_times_that(desk: Desk, clock: FakeClock) -> None:
    timer = Timer(each=2.0)
    slow = Stored(desk.database, ["books"], ["erp"], clock, timer)
    with statements(desk.database) as said:
        read(slow)
        once = len(said)
        timer.at += 35
        read(slow)
        assert len(said) == once
        timer.at += 10
        read(slow)
        assert len(said) == 2 * once


def test_what_is_kept_grows_older_all_the_same(clock: FakeClock, stored: Stored) -> None:
    read(stored)
    clock.turn(seconds=3)
    assert read(stored)["tocsin_source_lag_seconds", "books"] == 3


@pytest.fixture
def empty(tmp_path: object) -> Iterator[Database]:
    """A database without tables."""
    with closing(Database(f"sqlite:///{tmp_path}/empty.db")) as opened:
        yield opened


def test_a_database_that_cannot_be_read_is_told_and_no_figure_with_it(empty: Database, clock: FakeClock) -> None:
    found = read(Stored(empty, ["books"], ["erp"], clock))
    assert [key[0] for key in found] == ["tocsin_info", "tocsin_database_up"]
    assert found["tocsin_database_up",] == 0
