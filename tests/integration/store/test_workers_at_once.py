"""Several workers on one PostgreSQL at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from random import Random
from uuid import uuid4

import pytest
from sqlmodel import Session, col, select

from tests.fakes import item
from tests.integration.store.desk import Desk
from worker.announce import Endpoints
from worker.condition import Turn
from worker.deliver import Outbox
from worker.delivery import Due
from worker.interest import Interest
from worker.settings import Rate
from worker.store import conditions, keys, owed, receivers, recording, sources
from worker.store.conditions import Watch
from worker.store.owed import Share
from worker.store.tables import EndpointRow, Message

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SECOND = timedelta(seconds=1)


def _at_once(*works: Callable[[], None]) -> None:
    """Run these in a thread each, all from the same moment; raises what one of them raised."""
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], None]) -> None:
        start.wait(10)
        work()

    with ThreadPoolExecutor(len(works)) as threads:
        for future in [threads.submit(begin, work) for work in works]:
            future.result(60)


def test_two_workers_never_claim_the_same(desk: Desk) -> None:
    for name in ("erp", "crm"):
        desk.endpoint(name, max_in_flight=150)
    desk.store(*(item(f"n{number}") for number in range(200)))
    claimed: list[Due] = []

    def work() -> None:
        for _ in range(30):
            claimed.extend(desk.claim(most=8))

    _at_once(work, work, work)
    claimed.extend(desk.claim())
    assert len(claimed) == len({due.delivery_id for due in claimed}) == 300


def test_one_of_many_gets_a_lease(desk: Desk) -> None:
    leases = []

    def work() -> None:
        with desk.database.transaction() as session:
            leases.append(sources.acquire(session, "books", desk.now, only_due=True))

    _at_once(*[work] * 6)
    assert len([lease for lease in leases if lease]) == 1


def test_one_of_many_queues_what_is_due(desk: Desk) -> None:
    queued: list[str] = []

    def work() -> None:
        with desk.database.transaction() as session:
            queued.extend(sources.queue_due(session, ["books"], desk.now))

    _at_once(*[work] * 6)
    assert queued == ["books"]


def test_one_of_many_keeps_the_first_secret(desk: Desk) -> None:
    desk.endpoint("erp")
    kept: list[bool] = []

    def work() -> None:
        with desk.database.transaction() as session:
            kept.append(keys.keep_first(session, "erp", "hmac", "sealed", desk.now))

    _at_once(*[work] * 6)
    assert sorted(kept) == [False] * 5 + [True]


def test_polls_claims_records_and_redeliveries_never_wait_for_each_other_for_ever(desk: Desk) -> None:
    """All of these lock the same rows; a different order in one of them ends in a deadlock, which is an error."""
    desk.source("other")
    for name in ("erp", "crm", "log"):
        desk.endpoint(name)
    ids = [f"n{number}" for number in range(12)]

    def poll(source: str, seed: int) -> None:
        random = Random(seed)
        for number in range(40):
            desk.store(*(item(name, n=number) for name in random.sample(ids, 8)), source=source)

    def deliver(seed: int) -> None:
        random = Random(seed)
        for _ in range(40):
            due = desk.claim(most=40)
            random.shuffle(due)
            desk.record([desk.judged(one, random.choice((200, 200, 200, 500))) for one in due])

    def redeliver() -> None:
        random = Random(5)
        for _ in range(40):
            desk.redeliver(*(random.randrange(1, 40) for _ in range(9)))

    _at_once(lambda: poll("books", 1), lambda: poll("other", 2), lambda: deliver(3), lambda: deliver(4), redeliver)
    desk.now += timedelta(hours=1)
    for _ in range(200):
        desk.deliver()
        desk.now += SECOND
    assert {row.status for row in desk.deliveries()} == {"delivered"}


def test_one_of_many_probes_an_endpoint_that_fails(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(50)))
    desk.record([desk.judged(due, 500) for due in desk.claim(most=5)])
    desk.now += 5 * SECOND
    claimed: list[Due] = []

    def work() -> None:
        for _ in range(10):
            claimed.extend(desk.claim(most=8))

    _at_once(*[work] * 4)
    assert [due.probe for due in claimed] == [True]


def test_workers_share_a_rate_limit(desk: Desk) -> None:
    desk.endpoint("erp", rate=Rate(20, SECOND))
    desk.store(*(item(f"n{number}") for number in range(100)))
    claimed: list[Due] = []

    def work() -> None:
        for _ in range(10):
            claimed.extend(desk.claim(most=8))

    _at_once(*[work] * 4)
    assert len(claimed) == 20


def test_of_workers_that_record_at_the_same_moment_one_tells_what_turned(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*(item(f"n{number}") for number in range(20)))
    due, told = desk.claim(), []
    desk.change(EndpointRow, {"failures": 30, "failing_since": desk.now - timedelta(days=3), "probe_at": desk.now})
    watch = Watch(disable_after={"erp": timedelta(days=5)}, tell=lambda _, one: told.append(one.turn))

    def record(some: list[Due]) -> None:
        for one in some:
            with desk.database.transaction() as session:
                recording.record(session, [desk.judged(one, 500)], desk.now, watch)

    _at_once(*[partial(record, due[begin::4]) for begin in range(4)])
    assert told == [Turn.WARNED]
    assert desk.endpoint_row("erp").failures == 50


def test_workers_whose_endpoints_are_told_of_each_other_never_wait_for_each_other_for_ever(desk: Desk) -> None:
    names = ("erp", "crm", "ops")
    for name in names:
        desk.endpoint(name)
    desk.store(*(item(f"n{number}") for number in range(30)))
    due = desk.claim()
    about = Endpoints(
        tuple(Interest(name, types=("*",)) for name in names),
        dict.fromkeys(names, "https://receiver/"),
        dict.fromkeys(names, timedelta(days=5)),
    )
    desk.change(EndpointRow, {"failures": 30, "failing_since": desk.now - timedelta(days=3), "probe_at": desk.now})
    box = Outbox(database=desk.database, allowances=desk.limits, endpoints=about)

    def record(some: list[Due]) -> None:
        for one in some:
            box.record([desk.judged(one, 500)], desk.now)

    _at_once(*[partial(record, [one for one in due if one.endpoint == name]) for name in names])
    told = [row.type for row in desk.rows(Message) if row.notification_id is None]
    assert told == ["endpoint.failing"] * 3


def test_who_owes_locks_and_checks_the_same_endpoints_never_waits_for_ever(desk: Desk) -> None:
    """A poll tells of what is new, or wakes them, a record locks them, and each new delivery has its own checked."""
    names = ["erp", "crm", "log"]
    for name in names:
        desk.endpoint(name)
    ids = [desk.endpoint_row(name).id or 0 for name in names]
    checked = select(EndpointRow.id).where(col(EndpointRow.id).in_(ids)).with_for_update(read=True, key_share=True)

    def again_and_again(work: Callable[[Session], object]) -> None:
        for _ in range(150):
            with desk.database.transaction() as session:
                work(session)

    def tell(session: Session) -> None:
        message = {
            "id": f"msg_{uuid4().hex}", "type": "tocsin.test", "source_id": None, "notification_id": None,
            "revision": 1, "kind": None, "status": None, "body": b"{}", "created_at": desk.now,
        }  # fmt: skip
        owed.tell(session, [message], {Share(tuple(ids), None): [message["id"]]}, desk.now)

    works = [
        tell,
        lambda session: receivers.wake(session, ids, desk.now),
        lambda session: conditions.lock(session, names),
        lambda session: session.execute(checked).all(),
    ]
    _at_once(*(partial(again_and_again, work) for work in (*works, *works)))
    assert {desk.endpoint_row(name).due_at for name in names} == {desk.now}
