"""What an operator may ask of a house, beside what it does by itself: how it fares, a test, another try, pruning."""

import json
from datetime import timedelta
from typing import Any

from worker import deliver, poll, report
from worker.delivery import Attempted
from worker.envelope import encode
from worker.errors import LeaseLost
from worker.logs import shown_url
from worker.progress import PollSummary
from worker.revision import MessageType
from worker.store import endpoints, fates, notifications, outbox, rejected, retention, shown, sources
from worker.store.outbox import Stream
from worker.store.shown import Filter
from worker.webhooks.sender import Sender
from worker.wiring import House

_WAIT = timedelta(milliseconds=100)


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


def explained(home: House, delivery: dict[str, Any]) -> dict[str, Any]:
    """A delivery's row; one that waits for an endpoint that is no longer configured says so."""
    gone = delivery["status"] == "pending" and delivery["endpoint"] not in home.settings.endpoints
    return delivery | {"reason": "endpoint is not configured"} if gone else delivery


def prune(home: House) -> dict[str, int]:
    """Apply [retention]; how many of each went."""
    now, keep = home.clock(), home.settings.retention
    return retention.prune(home.database, now - keep.notifications, now - keep.attempts)


def test_endpoint(home: House, name: str) -> Attempted:
    """Send one signed `tocsin.test` message now, also to a disabled endpoint, and record what came of it."""
    now = home.clock()
    lease_for = home.outbox.allowances[name].lease_for
    with home.database.transaction() as session:
        due = endpoints.owe_test(session, name, encode(MessageType.TEST, now, {}), lease_for, now)
    with Sender({name: home.target(name)}, user_agent=home.user_agent, clock=home.clock) as sender:
        sender.begin([due])
        while not (ended := sender.finished(_WAIT)):
            pass
    attempted = deliver.attempted(*ended[0], home.rules(now))
    home.outbox.record([attempted], home.clock())
    return attempted


def retry_rejected(home: House, name: str) -> tuple[int, int]:
    """Run a source's rejected items through again; how many were stored, and how many are still rejected.

    Raises LeaseLost when another process polls the source. Where nothing was rejected, nobody is kept from polling it.
    """
    with home.database.reading() as session:
        if not shown.rejected(session, Filter(source=name, limit=1)):
            return 0, 0
    now, subscription = home.clock(), home.subscription(name)
    with home.database.transaction() as session:
        lease = sources.acquire(session, name, now, only_due=False)
    if lease is None:
        raise LeaseLost(f"source {name}")
    with home.database.transaction() as session:
        sources.renew(session, lease, home.clock())
        kept = rejected.of_source(session, lease.source_id)
        still: set[int | None] = set()
        for row in kept:
            items, unfit = poll.normalise_all(subscription.provider, [json.loads(row.raw)], now)
            stored = notifications.store_page(session, lease.source_id, name, items, now)
            stream = Stream(lease.source_id, name, subscription.provider.slug, lease.start_at)
            outbox.owe(session, stream, stored, subscription.interests, now)
            if unfit or stored.refused:
                still.add(row.id)
        rejected.forget(session, [row.id for row in kept if row.id and row.id not in still])
        sources.put_back(session, lease.token)
        summary = PollSummary(fetched=len(kept), rejected=len(still))
        sources.record_run(session, lease.poll_run_id, summary, None, home.clock())
    return len(kept) - len(still), len(still)
