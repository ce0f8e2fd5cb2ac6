"""Many endpoints that hang at once hold up no other (DELIVERY, section 1): real sockets, a clock that runs."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tests.fakes import item
from tests.integration.store.desk import SCHEDULE, Desk
from tests.integration.webhooks.receivers import Receiver, answering, hanging
from tests.integration.webhooks.sending import LOOPBACK
from worker import deliver
from worker.deliver import Outbox, Rules
from worker.delivery import Attempted
from worker.interest import Interest
from worker.meter import Unmetered
from worker.store.rooms import Allowance
from worker.store.session import Database
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target
from worker.webhooks.verdict import Policy

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HUNG_FOR = timedelta(seconds=2)
AT_ONCE = HUNG_FOR / 2


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Crowd(Unmetered):
    """A well endpoint among many that hang. It is owed something once no more of the others' is begun."""

    desk: Desk
    sender: Sender
    open_before: int = 0
    stored_at: datetime | None = None
    waited: timedelta | None = None

    def attempted(self, one: Attempted) -> None:
        if one.due.endpoint == "well" and self.stored_at:
            self.waited = one.outcome.answered_at - self.stored_at

    def look(self) -> bool:
        """At each turn of the sweep, which is never told to end."""
        if self.stored_at is None and 0 < self.open_before == self.sender.open:
            self.stored_at = now()
            self.desk.store(item("stored meanwhile"), interests=[Interest("well")], now=self.stored_at)
        self.open_before = self.sender.open
        return False

    def sweep(self) -> None:
        rules = Rules(
            policies=dict.fromkeys(self.desk.limits, Policy(SCHEDULE)),
            random=Random(1),
            clock=now,
            may_begin=lambda: self.waited is None,
            is_ending=self.look,
            meter=self,
        )
        deliver.deliver_due(Outbox(database=self.desk.database, allowances=self.desk.limits), self.sender, rules)


@pytest.mark.parametrize(("number", "max_in_flight"), [(55, 10), (1, 500)])
def test_a_message_for_a_well_endpoint_waits_for_none_that_hangs(
    database: Database, number: int, max_in_flight: int
) -> None:
    desk = Desk(database, now())
    desk.source()
    hanging_ones = [f"hangs{each}" for each in range(number)]
    with ExitStack() as stack:
        deaf, well = stack.enter_context(Receiver(hanging)), stack.enter_context(Receiver(answering(200)))
        targets = {}
        for name in (*hanging_ones, "well"):
            desk.endpoint(name)
            desk.limits[name] = Allowance(max_in_flight, timedelta(seconds=31))
            url = well.url if name == "well" else deaf.url
            targets[name] = Target(
                name=name, url=url, secrets=(b"k" * 32,), allow_networks=LOOPBACK, timeout=HUNG_FOR
            )  # fmt: skip
        items = [item(f"n{each}") for each in range(max_in_flight)]
        desk.store(*items, interests=[Interest(name) for name in hanging_ones], now=now())
        crowd = Crowd(desk, stack.enter_context(Sender(targets, "Tocsin/1", now)))
        crowd.sweep()
    assert crowd.waited is not None
    assert crowd.waited < AT_ONCE
