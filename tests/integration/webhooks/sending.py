"""Short ways to send: what a test does not say is as it would be in an installation on loopback."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import count
from typing import Any

from worker.delivery import Due, Outcome, Trigger
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target

KEY = b"0123456789abcdef0123456789abcdef"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PATIENCE = timedelta(seconds=20)
SHORT = timedelta(milliseconds=400)
_numbers = count(1)


def now() -> datetime:
    return datetime.now(UTC)


def target(url: str, **more: Any) -> Target:
    return Target(**{"name": "erp", "url": url, "secrets": (KEY,), "allow_networks": LOOPBACK, **more})


def due(endpoint: str = "erp", body: bytes = b'{"type":"tocsin.test"}') -> Due:
    number = next(_numbers)
    return Due(
        delivery_id=number,
        message_id=f"msg_{number}",
        endpoint=endpoint,
        body=body,
        attempt=1,
        round=1,
        trigger=Trigger.FIRST,
        slowed=0,
        claim_token="token",
        claimed_until=now() + timedelta(days=3650),
        source=None,
        notification_id=None,
        made_at=now(),
    )


def sender(targets: Mapping[str, Target], **more: Any) -> Sender:
    return Sender(targets, "Tocsin/1.2.3", **{"clock": now, **more})


def all_finished(sending: Sender) -> list[tuple[Due, Outcome]]:
    """Everything that is open, in the order in which it ended."""
    until = now() + PATIENCE
    ended: list[tuple[Due, Outcome]] = []
    while sending.open and now() < until:
        ended += sending.finished(PATIENCE)
    return ended


def outcome_of(url: str, body: bytes = b"{}", **more: Any) -> Outcome:
    """One request by a sender of its own."""
    with sender({"erp": target(url, **more)}) as sending:
        sending.begin([due(body=body)])
        [(_, outcome)] = all_finished(sending)
        return outcome
