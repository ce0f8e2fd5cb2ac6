"""One budget of requests per credential, counted by all workers together (POLLING, section 5).

In one process it is counted in memory, in many in Redis, where the broker is. Redis being away never stops polling:
then requests are let through uncounted.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from worker.errors import RateLimited
from worker.settings import Rate

if TYPE_CHECKING:
    from limits.strategies import MovingWindowRateLimiter

_PREFIX = "tocsin:budget"
_WITHIN = timedelta(seconds=1)
_AWAY_FOR = timedelta(seconds=10)
_log = structlog.get_logger("budget")


class BudgetUsedUp(RateLimited):
    """The budget of requests for these credentials is used up."""


def digest(text: str) -> str:
    """What tells a text from others, and tells nothing of it if it is a good secret."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


class Budgets:
    """The budgets of all credentials. `broker` says where they are counted; `fingerprint` hides what they belong to.

    Sources that have the same credentials share what each of them declares: where these differ, all of it holds.
    """

    def __init__(self, broker: str, clock: Callable[[], datetime], fingerprint: Callable[[str], str] = digest) -> None:
        self._broker, self._clock, self._fingerprint = broker, clock, fingerprint
        self._rates: dict[str, frozenset[Rate]] = {}
        self._lock = threading.Lock()
        self._pool: Any = None
        self._limiter: MovingWindowRateLimiter | None = None
        self._away_until: datetime | None = None

    def of(self, credential: str, rate: Rate | None) -> "Budget":
        """The budget of a credential, with what this source declares of it, if anything."""
        account = self._fingerprint(credential)
        if rate is not None:
            with self._lock:
                self._rates[account] = self._rates.get(account, frozenset()) | {rate}
                self._limiter = self._limiter or self._counting()
        return Budget(self, account)

    def take(self, account: str, *, live: bool) -> None:
        """Count one request. Raises BudgetUsedUp with the wait until there may be another."""
        rates, limiter = self._rates.get(account), self._limiter
        if not rates or limiter is None or (self._away_until and self._clock() < self._away_until):
            return
        from limits.errors import StorageError  # noqa: PLC0415  # a tenth of a second that most processes don't need

        try:
            wait = _counted(limiter, account, list(_windows(rates, live=live)))
        except StorageError as error:
            self._lost(type(error.storage_error).__name__)
            return
        self._found()
        if wait is not None:
            kept = "" if live else " A third of it is kept for polls."
            raise BudgetUsedUp(f"It is {' and '.join(sorted(map(_written, rates)))}.{kept}", wait)

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.disconnect()

    def _counting(self) -> "MovingWindowRateLimiter":
        """Exactly so many in any stretch of time, rather than in each calendar minute."""
        from limits.storage import MemoryStorage, RedisStorage  # noqa: PLC0415  # as above
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415  # as above

        if self._broker.startswith("memory:"):
            return MovingWindowRateLimiter(MemoryStorage())
        self._pool = _pool(self._broker)
        shared = RedisStorage(self._broker, connection_pool=self._pool, key_prefix=_PREFIX, wrap_exceptions=True)
        return MovingWindowRateLimiter(shared)

    def _lost(self, reason: str) -> None:
        if self._away_until is None:
            _log.warning("budget.not_counted", why="Redis can't be asked; requests are let through", reason=reason)
        self._away_until = self._clock() + _AWAY_FOR

    def _found(self) -> None:
        if self._away_until is not None:
            _log.info("budget.counted_again")
            self._away_until = None


class Budget:
    """The budget of one credential; without a rate that any source declares, it lets everything through."""

    def __init__(self, budgets: Budgets, account: str) -> None:
        self._budgets, self._account = budgets, account

    def take(self, *, live: bool) -> None:
        """Count one request. What is not live, as reading old rows again, makes do with two thirds of the budget.

        Raises BudgetUsedUp with the wait until there may be another.
        """
        self._budgets.take(self._account, live=live)


def _windows(rates: Iterable[Rate], *, live: bool) -> Iterator[Any]:
    """What a request counts against, as `limits` has it; what is smallest first."""
    from limits import RateLimitItemPerSecond  # noqa: PLC0415  # as above

    for rate in rates:
        seconds = int(rate.per.total_seconds())
        if not live:
            yield RateLimitItemPerSecond(max(1, rate.count * 2 // 3), seconds, namespace="background")
        yield RateLimitItemPerSecond(rate.count, seconds, namespace="all")


def _counted(limiter: "MovingWindowRateLimiter", account: str, windows: list[Any]) -> timedelta | None:
    """Count one request in each window; or how long until it fits. One that doesn't fit is counted in none of them.

    Between looking and counting another worker may be quicker: then it may be counted in some, which errs to the safe
    side.
    """
    full = [window for window in windows if not limiter.test(window, account)] if len(windows) > 1 else []
    if not full:
        full = [window for window in windows if not limiter.hit(window, account)]
    freed = [limiter.get_window_stats(window, account).reset_time for window in full]
    return timedelta(seconds=max(0.0, max(freed) - time.time())) if freed else None


def _written(rate: Rate) -> str:
    return f"{rate.count} requests in {int(rate.per.total_seconds())} s"


def _pool(broker: str) -> Any:
    """Connections that fail at once rather than hold up a poll. What a certificate needs is written in two ways."""
    from redis import ConnectionPool  # noqa: PLC0415  # as above
    from redis.backoff import NoBackoff  # noqa: PLC0415  # as above
    from redis.retry import Retry  # noqa: PLC0415  # as above

    address = broker
    for word in ("none", "optional", "required"):
        address = address.replace(f"ssl_cert_reqs=CERT_{word.upper()}", f"ssl_cert_reqs={word}")
    seconds = _WITHIN.total_seconds()
    return ConnectionPool.from_url(
        address, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0)
    )
