"""What the spines tell of their work to whoever counts it. Unless `metrics` is configured, nobody does."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from worker.delivery import Attempted
from worker.errors import AuthFailed, ContractBroken, LeaseLost, RateLimited, Unavailable
from worker.progress import PollSummary


class Ending(StrEnum):
    """How a poll ended: the reading is done, or what kept it from that."""

    DONE = "done"
    STOPPED = "stopped"
    LEASE_LOST = "lease_lost"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    AUTH_FAILED = "auth_failed"
    CONTRACT_BROKEN = "contract_broken"
    FAULT = "fault"


_ENDINGS: tuple[tuple[type[Exception], Ending], ...] = (
    (LeaseLost, Ending.LEASE_LOST),
    (RateLimited, Ending.RATE_LIMITED),
    (Unavailable, Ending.UNAVAILABLE),
    (AuthFailed, Ending.AUTH_FAILED),
    (ContractBroken, Ending.CONTRACT_BROKEN),
)


def ending_of(error: Exception) -> Ending:
    """The word for what a poll failed with; a fault of our own, where it is none of the provider's."""
    return next((ending for kind, ending in _ENDINGS if isinstance(error, kind)), Ending.FAULT)


class Meter(Protocol):
    """Counts. It never raises, and costs microseconds: it is called in the midst of the work."""

    def stored(self, source: str, waited: Sequence[timedelta], took: timedelta) -> None:
        """A page is committed: what each new notification of it waited to be seen, and from seeing to the commit."""

    def polled(self, source: str, summary: PollSummary, ending: Ending) -> None:
        """A poll has ended, and this is what it came to."""

    def attempted(self, one: Attempted) -> None:
        """An attempt was made and recorded."""


class Unmetered:
    """Nobody counts."""

    def stored(self, source: str, waited: Sequence[timedelta], took: timedelta) -> None:
        """Nothing."""

    def polled(self, source: str, summary: PollSummary, ending: Ending) -> None:
        """Nothing."""

    def attempted(self, one: Attempted) -> None:
        """Nothing."""


UNMETERED: Meter = Unmetered()
