"""No endpoint feels another (DELIVERY, section 1): a real store, a real sender, real sockets, a clock that runs."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

import pytest
from sqlalchemy import String, cast, insert, literal, select
from sqlmodel import col

from tests.integration.store.desk import Desk
from tests.integration.webhooks.receivers import Receiver, answering, hanging
from tests.integration.webhooks.sending import LOOPBACK
from worker import deliver
from worker.deliver import Outbox, Rules
from worker.delivery import Attempted
from worker.meter import Unmetered
from worker.store.rooms import Allowance
from worker.store.session import Database
from worker.store.tables import Delivery, EndpointRow, Message
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target
from worker.webhooks.verdict import Policy

OTHERS = ("b", "c", "d")
BACKLOG, EACH = 50_000, 300
TIMEOUT, PATIENCE = timedelta(milliseconds=400), timedelta(seconds=20)
MAX_IN_FLIGHT = 10
ROUNDS = 5
WITHIN = 1.5
POLICY = Policy((timedelta(milliseconds=1),) * 99)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Watch(Unmetered):
    """Sees every attempt; knows when all of the others' are made."""

    made: list[Attempted] = field(default_factory=list)

    def attempted(self, one: Attempted) -> None:
        self.made.append(one)

    def of(self, endpoints: Collection[str]) -> list[Attempted]:
        return [one for one in self.made if one.due.endpoint in endpoints]


@dataclass
class Street:
    """Four endpoints, of which `a` hangs until its timeout and has 50,000 deliveries due."""

    desk: Desk
    sender: Sender
    _numbers: Iterator[int] = field(default_factory=count)

    def owe(self, endpoint: str, many: int) -> None:
        """So many deliveries, due now, by one statement a table."""
        at = literal(now(), Message.__table__.c.created_at.type)  # type: ignore[attr-defined]
        n = select(literal(1).label("n")).cte("numbers", recursive=True)
        n = n.union_all(select(n.c.n + 1).where(n.c.n < many))
        identity = literal(f"msg_{endpoint}_{next(self._numbers)}_") + cast(n.c.n, String)
        of = select(col(EndpointRow.id)).where(col(EndpointRow.name) == endpoint).scalar_subquery()
        messages = select(identity, literal("tocsin.test"), literal(1), literal(b"{}"), at)
        owed = select(identity, of, literal(1), literal("pending"), literal("first"), literal(0), literal(0), at, at)
        into = ["message_id", "endpoint_id", "revision", "status", "trigger", "attempts", "round", "next_attempt_at"]
        with self.desk.database.transaction() as session:
            session.execute(insert(Message).from_select(["id", "type", "revision", "body", "created_at"], messages))
            session.execute(insert(Delivery).from_select([*into, "created_at"], owed))
        self.desk.change(EndpointRow, {"due_at": now()}, name=endpoint)

    def ninety_ninth(self, *, beside_a: bool) -> tuple[float, int]:
        """Of the others' deliveries, owed now: the 99th percentile of seconds until answered; the attempts at `a`."""
        for name in OTHERS:
            self.owe(name, EACH)
        fresh = {"failures": 0, "failing_since": None, "probe_at": None, "probes": 0, "due_at": now()}
        self.desk.change(EndpointRow, fresh, name="a")
        began, watch, wanted = now(), Watch(), len(OTHERS) * EACH
        rules = Rules(
            policies=dict.fromkeys(("a", *OTHERS), POLICY),
            random=Random(1),
            clock=now,
            may_begin=lambda: len(watch.of(OTHERS)) < wanted,
            meter=watch,
        )
        names = ("a", *OTHERS) if beside_a else OTHERS
        outbox = Outbox(database=self.desk.database, allowances={name: self.desk.limits[name] for name in names})
        deliver.deliver_due(outbox, self.sender, rules)
        waited = sorted((one.outcome.answered_at - began).total_seconds() for one in watch.of(OTHERS))
        assert ([200] * wanted, wanted) == ([one.outcome.status_code for one in watch.of(OTHERS)], len(waited))
        return waited[int(len(waited) * 0.99)], len(watch.of("a"))


@pytest.fixture
def street(database: Database) -> Iterator[Street]:
    desk = Desk(database, now())
    with ExitStack() as stack:
        targets = {}
        for name in ("a", *OTHERS):
            receiver = stack.enter_context(Receiver(hanging if name == "a" else answering(200)))
            desk.endpoint(name)
            desk.limits[name] = Allowance(MAX_IN_FLIGHT, timedelta(seconds=31))
            targets[name] = Target(
                name=name, url=receiver.url, secrets=(b"k" * 32,), allow_networks=LOOPBACK,
                timeout=TIMEOUT if name == "a" else PATIENCE, connect_timeout=PATIENCE,
            )  # fmt: skip
        made = Street(desk, stack.enter_context(Sender(targets, "Tocsin/1", now)))
        made.owe("a", BACKLOG)
        yield made


@pytest.mark.alone
def test_beside_an_endpoint_that_hangs_with_50_000_due_others_are_as_fast_as_without(street: Street) -> None:
    street.ninety_ninth(beside_a=False)  # connections are opened, statements prepared
    ratios = []
    for _ in range(ROUNDS):
        without, _ = street.ninety_ninth(beside_a=False)
        beside, hung = street.ninety_ninth(beside_a=True)
        assert hung >= MAX_IN_FLIGHT
        ratios.append(beside / without)
        if ratios[-1] <= WITHIN:
            break
    assert min(ratios) <= WITHIN, ratios
