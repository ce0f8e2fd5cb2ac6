"""What an operator may ask of a house, beside what it does by itself: how it fares, a test, another try, pruning."""

import json
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from worker import announce, deliver, report
from worker.backfill import Progress, Watch
from worker.backfill import backfill as read_past
from worker.clocks import figures
from worker.condition import Turn, Turned
from worker.delivery import Attempted
from worker.envelope import encode
from worker.errors import LeaseLost
from worker.intake import Surroundings, take_in
from worker.past import Past
from worker.progress import PollSummary
from worker.providers import build
from worker.redaction import shown_url
from worker.revision import MessageType
from worker.store import conditions, endpoints, fates, forms, heartbeats, rejected, retention, shown, sources, waits
from worker.store.shown import Filter
from worker.store.sources import Lease
from worker.webhooks.sender import Sender
from worker.wiring import House

_WAIT = timedelta(milliseconds=100)
_A_DAY, _AN_HOUR = timedelta(days=1), timedelta(hours=1)
_ONCE_A_DAY = timedelta(hours=23)
"""Looked at once an hour, so that it comes at about the same hour every day."""
_ANOTHERS = timedelta(minutes=10)
"""For so long whoever began to prune is believed to be at it; then he was killed, or met trouble."""
_REST_S = 0.02
"""Between two batches of pruning: then others get their turn to write on SQLite, and PostgreSQL's replicas follow."""
_AT_ONCE = 100
"""Rejected items in one commit: others wait for it, and it ends well before the lease does."""


def source_rows(home: House) -> list[dict[str, Any]]:
    """Every configured source and how it fares."""
    with home.database.reading() as session:
        found = fates.of_sources(session)
    now = home.clock()
    return [report.source_row(name, found[name], home.schedule(name), now) for name in sorted(home.settings.sources)]


def endpoint_rows(home: House) -> list[dict[str, Any]]:
    """Every configured endpoint and how it fares."""
    with home.database.reading() as session:
        found = fates.of_endpoints(session)
    configured = home.settings.endpoints
    return [report.endpoint_row(name, found[name], shown_url(str(configured[name].url))) for name in sorted(configured)]


def status(home: House) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of sources and endpoints, each with how long things took lately (DELIVERY, section 6)."""
    now = home.clock()
    with home.database.reading() as session:
        seen, sent = waits.seen(session, now - _A_DAY), waits.sent(session, now - _AN_HOUR)
    sources_seen = [row | figures("seen", seen.get(row["name"])) for row in source_rows(home)]
    endpoints_sent = []
    for row in endpoint_rows(home):
        first, delivered = sent.get(row["name"], (None, None))
        endpoints_sent.append(row | figures("first_attempt", first) | figures("delivered", delivered))
    return sources_seen, endpoints_sent


def explained(home: House, delivery: dict[str, Any]) -> dict[str, Any]:
    """A delivery's row; one that waits for an endpoint that is no longer configured says so."""
    gone = delivery["status"] == "pending" and delivery["endpoint"] not in home.settings.endpoints
    return delivery | {"reason": "endpoint is not configured"} if gone else delivery


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many of each went, and whether that was all."""

    counts: Mapping[str, int]
    finished: bool


def may_prune(home: House, *, goes_on: bool) -> bool:
    """Whether pruning is due, and nobody else is at it: from here on we are. `goes_on`: with what we began before."""
    now = home.clock()
    with home.database.reading() as session:
        last = heartbeats.last(session, heartbeats.PRUNED)
    if not goes_on and last and abs(now - last) < _ONCE_A_DAY:
        return False
    with home.database.transaction() as session:
        return heartbeats.claim(session, heartbeats.PRUNING, now, now if goes_on else now - _ANOTHERS)


def prune(home: House, go_on_for: timedelta | None = None) -> Pruned:
    """Apply [retention], a batch after another with a rest between them, until all is gone, or the process is to end.

    `go_on_for`: or after so long, when at least something is gone; whoever is next goes on.
    """
    now, keep = home.clock(), home.settings.retention
    counts: Counter[str] = Counter()
    for what, rows in retention.prune(home.database, now - keep.notifications, now - keep.attempts):
        counts.update({what: rows})
        too_long = rows and go_on_for is not None and home.clock() - now >= go_on_for
        if home.stopping.wait(_REST_S if rows else 0) or too_long:
            return Pruned(counts, finished=False)
    with home.database.transaction() as session:
        heartbeats.record(session, heartbeats.PRUNED, home.clock())
    return Pruned(counts, finished=True)


def disable_endpoint(home: House, name: str) -> bool:
    """Send it nothing more until it is enabled, and tell of that whoever asks. False: it was disabled already."""
    now, about = home.clock(), home.outbox.endpoints
    with home.database.transaction() as session:
        locked = endpoints.lock(session, {name} | about.listeners)
        if not endpoints.disable(session, name, "disabled by hand", now):
            return False
        (row,) = (each for each in locked if each.name == name)
        session.refresh(row)
        announce.say_turned(session, about, Turned(name, Turn.DISABLED, conditions.of(row)), now)
    return True


def test_endpoint(home: House, name: str) -> Attempted:
    """Send one signed `tocsin.test` message now, also to a disabled endpoint, and record what came of it."""
    now = home.clock()
    lease_for = home.outbox.allowances[name].lease_for
    with home.database.transaction() as session:
        due = endpoints.owe_test(session, name, encode(MessageType.TEST, now, {}), lease_for, now)
        [due] = forms.dressed(session, [due], {name: home.settings.endpoints[name].format})
    with Sender({name: home.signing.target(name)}, user_agent=home.user_agent, clock=home.clock) as sender:
        sender.begin([due])
        while not (ended := sender.finished(_WAIT)):
            pass
    attempted = deliver.attempted(*ended[0], home.rules(now), home.clock())
    home.outbox.record([attempted], home.clock())
    return attempted


def backfill(
    home: House, name: str, past: Past, wait: Callable[[timedelta], None], tell: Callable[[str], None]
) -> Generator[Progress, None, None]:
    """Read a source's past, in the foreground; told after each commit. Its requests make way for those of polls.

    `wait` waits, `tell` says why. Raises ProviderError as `worker.backfill` does.
    """
    watch = Watch(Surroundings(home.database, home.clock, home.random), wait, tell)
    means = replace(home.means, live=False, wait_out=watch.wait_out)
    provider, client = build(home.settings.sources[name], means)
    with closing(client):
        yield from read_past(replace(home.subscription(name), provider=provider), past, watch)


def retry_rejected(home: House, name: str) -> tuple[int, int]:
    """Run a source's rejected items through again; how many were stored, and how many are still rejected.

    A hundred at a time, each hundred in one commit. Raises LeaseLost when another process polls the source; what was
    committed until then stays. Where nothing was rejected, nobody is kept from polling it.
    """
    with home.database.reading() as session:
        if not shown.rejected(session, Filter(source=name, limit=1)):
            return 0, 0
    with home.database.transaction() as session:
        lease = sources.acquire(session, name, home.clock(), only_due=False, polls=False)
        ids = rejected.ids_of(session, lease.source_id) if lease else ()
    if lease is None:
        raise LeaseLost(f"source {name}")
    tried = stored = 0
    try:
        for first in range(0, len(ids), _AT_ONCE):
            kept, still = _retried(home, lease, ids[first : first + _AT_ONCE])
            tried, stored = tried + kept, stored + kept - still
    finally:
        with home.database.transaction() as session:
            sources.put_back(session, lease.token)
            summary = PollSummary(fetched=tried, rejected=tried - stored)
            sources.record_run(session, lease.poll_run_id, summary, None, home.clock())
    return stored, tried - stored


def _retried(home: House, lease: Lease, ids: Sequence[int]) -> tuple[int, int]:
    """One commit: how many were tried, and how many are still rejected. Raises LeaseLost: then nothing of it is."""
    now, subscription = home.clock(), home.subscription(lease.source)
    with home.database.transaction() as session:
        sources.renew(session, lease, now)
        kept = rejected.those(session, ids)
        still: set[int | None] = set()
        for row in kept:
            if take_in(session, subscription, lease, [json.loads(row.raw)], now).rejected:
                still.add(row.id)
        rejected.forget(session, [row.id for row in kept if row.id and row.id not in still])
    return len(kept), len(still)
