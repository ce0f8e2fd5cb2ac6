"""A long random walk over everything that moves deliveries, beside a model that finds what is due by looking at all."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import pytest

from tests.fakes import item
from tests.integration.store.desk import LEASE, Desk
from worker.delivery import Due
from worker.interest import Interest
from worker.pace import opening_room
from worker.store import endpoints
from worker.store.tables import Delivery, EndpointRow

STEPS = 150
LIMITS = {"erp": 2, "crm": 5, "log": 1000}
STATES = ("new", "received", "read", "resolved")
ANSWERS = (200, 200, 200, 200, 500, 500, 503, 410)


@dataclass
class Walk:
    desk: Desk
    random: Random
    open: list[Due] = field(default_factory=list)
    made: int = 0

    def step(self) -> None:
        walks = (self.store, self.store, self.claim, self.claim, self.record, self.record, self.turn, self.lapse)
        self.random.choice((*walks, self.redeliver, self.toggle, self.test))()

    def store(self) -> None:
        rows = [item(f"n{self.random.randrange(6)}", self.random.choice(STATES), n=self.made) for _ in range(3)]
        self.made += 1
        wanted = [Interest(name) for name in LIMITS if self.random.random() < 0.7]
        self.desk.store(*rows, interests=wanted)

    def claim(self) -> None:
        expected = self.expected()
        claimed = self.desk.claim()
        found: dict[str, list[int]] = {}
        for due in claimed:
            found.setdefault(due.endpoint, []).append(due.delivery_id)
        assert {name: sorted(ids) for name, ids in found.items()} == expected
        self.open += claimed

    def expected(self) -> dict[str, list[int]]:
        """What a claim must take of each endpoint, found by looking at every row."""
        now, rows = self.desk.now, self.desk.deliveries()
        taken = {}
        for name, limit in LIMITS.items():
            endpoint = self.desk.endpoint_row(name)
            if endpoint.disabled_at or any(at and at > now for at in (endpoint.slow_until, endpoint.probe_at)):
                continue
            pending = [row for row in rows if row.endpoint_id == endpoint.id and row.status == "pending"]
            open_now = [row for row in pending if row.claimed_until and row.claimed_until > now]
            due = sorted(
                (row.next_attempt_at, row.id or 0)
                for row in pending
                if row.next_attempt_at
                and (row.next_attempt_at <= now or endpoint.probe_at)
                and row not in open_now
                and not any(_before(other, row, other in open_now) for other in pending)
            )
            if ids := [identity for _, identity in due][: _room(endpoint, limit, len(open_now), now)]:
                taken[name] = sorted(ids)
        return taken

    def record(self) -> None:
        self.random.shuffle(self.open)
        count = self.random.randint(0, len(self.open))
        ended, self.open = self.open[:count], self.open[count:]
        self.desk.record([self.desk.judged(due, self.random.choice(ANSWERS)) for due in ended])

    def turn(self) -> None:
        self.desk.now += timedelta(seconds=self.random.choice((0.1, 1, 5, 6, 30, 330)))

    def lapse(self) -> None:
        """A worker dies."""
        self.open = [due for due in self.open if self.random.random() < 0.5]
        self.desk.now += LEASE * self.random.random()

    def redeliver(self) -> None:
        if ids := [row.id or 0 for row in self.desk.deliveries()]:
            self.desk.redeliver(*self.random.sample(ids, min(3, len(ids))))

    def toggle(self) -> None:
        name = self.random.choice(tuple(LIMITS))
        with self.desk.database.transaction() as session:
            if self.desk.endpoint_row(name).disabled_at:
                endpoints.enable(session, name, self.desk.now)
            elif self.random.random() < 0.3:
                endpoints.disable(session, name, "by hand", self.desk.now)

    def test(self) -> None:
        """A test message whose sender dies."""
        with self.desk.database.transaction() as session:
            endpoints.owe_test(session, self.random.choice(tuple(LIMITS)), b"{}", LEASE, self.desk.now)

    def drain(self) -> None:
        for name in LIMITS:
            with self.desk.database.transaction() as session:
                endpoints.enable(session, name, self.desk.now)
        for _ in range(60):
            self.desk.deliver(200)
            self.desk.now += LEASE


def _room(endpoint: EndpointRow, limit: int, open_now: int, now: datetime) -> int:
    """One alone while it is probed; a second after it has recovered, 2, then 4 …"""
    if endpoint.probe_at:
        return 0 if open_now else 1
    since = endpoint.opening_since
    opening = opening_room(since, endpoint.paced_until, now) if since else None
    return max(0, limit - open_now if opening is None else min(limit - open_now, opening))


def _before(other: Delivery, row: Delivery, is_open: bool) -> bool:  # noqa: FBT001  # one call, in a comprehension
    if other.notification_id is None or other.notification_id != row.notification_id or other.id == row.id:
        return False
    return other.revision < row.revision or is_open


@pytest.mark.parametrize("seed", range(3))
def test_what_is_due_is_claimed_and_nothing_else_and_in_the_end_all_is_delivered(desk: Desk, seed: int) -> None:
    for name, limit in LIMITS.items():
        desk.endpoint(name, max_in_flight=limit)
    walk = Walk(desk, Random(seed))
    for _ in range(STEPS):
        walk.step()
    walk.drain()
    assert Counter(row.status for row in desk.deliveries())["pending"] == 0
