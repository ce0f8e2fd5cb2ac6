"""What a process counts of its own work. Labels are names of the configuration and words of ours, so they are bounded.

Several processes of one worker count in files of a folder that they share (prometheus_client's multiprocess mode), a
file for each place in the pool, not for each process: a child that takes a dead one's place counts on where that ended.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector

from worker.clocks import delivered_after, first_attempt_after
from worker.delivery import Attempted, Wire
from worker.meter import Ending
from worker.progress import PollSummary

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_WIRE = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, _MINUTE, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 6 * _HOUR, _DAY, 5 * _DAY)
_SEEN = (1, 2.5, 5, 10, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asked for


class Counting:
    """A `Meter`. `registry` has what this process counted.

    With a `slot`, which tells a process from the others of its worker, it has what all of these did; the folder is
    then that of PROMETHEUS_MULTIPROC_DIR.
    """

    def __init__(self, slot: Callable[[], object] | None = None) -> None:
        self.registry = CollectorRegistry()
        own = None if slot else self.registry
        values.ValueClass = values.MultiProcessValue(slot) if slot else values.MutexValue  # type: ignore[no-untyped-call]
        if slot:
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        self._polls = _counter("tocsin_polls", "Polls that ended, by how.", ("source", "ending"), own)
        counted = {name: _counter(f"tocsin_{name}", text, ("source",), own) for name, text in _COUNTED.items()}
        self._counted = {_MEMBERS[name]: counter for name, counter in counted.items()}
        self._attempts = _counter(
            "tocsin_attempts",
            "Requests made to an endpoint: what happened on the wire, and what became of the delivery.",
            ("endpoint", "outcome", "verdict"),
            own,
        )
        self._clocks = {name: _histogram(name, *told, own) for name, told in _CLOCKS.items()}

    def stored(self, source: str, waited: Sequence[timedelta], took: timedelta) -> None:
        """A page is committed."""
        self._clocks["tocsin_seen_to_stored_seconds"].observe(took.total_seconds())
        if waited:
            seen = self._clocks["tocsin_occurred_to_seen_seconds"].labels(source)
            for wait in waited:
                seen.observe(wait.total_seconds())

    def polled(self, source: str, summary: PollSummary, ending: Ending) -> None:
        """A poll has ended. What came to nothing is counted too: a series must be there before it can grow."""
        self._polls.labels(source, ending.value).inc()
        for member, counter in self._counted.items():
            counter.labels(source).inc(getattr(summary, member))

    def attempted(self, one: Attempted) -> None:
        """An attempt was made and recorded."""
        endpoint = one.due.endpoint
        self._attempts.labels(endpoint, _outcome(one), one.verdict.status.value).inc()
        self._observe("tocsin_attempt_seconds", endpoint, one.outcome.duration)
        self._observe("tocsin_stored_to_first_attempt_seconds", endpoint, first_attempt_after(one))
        self._observe("tocsin_stored_to_delivered_seconds", endpoint, delivered_after(one))

    def _observe(self, clock: str, endpoint: str, wait: timedelta | None) -> None:
        if wait is not None:
            self._clocks[clock].labels(endpoint).observe(wait.total_seconds())


def _outcome(one: Attempted) -> str:
    """`2xx` to `5xx` for an answer, else what kept it from coming: ever so many codes are no labels."""
    code = one.outcome.status_code
    return f"{code // 100}xx" if one.outcome.wire is Wire.ANSWERED and code else one.outcome.wire.value


def _counter(name: str, text: str, labels: Sequence[str], registry: CollectorRegistry | None) -> Counter:
    return Counter(name, text, labels, registry=registry)


def _histogram(
    name: str, text: str, labels: Sequence[str], buckets: Sequence[float], registry: CollectorRegistry | None
) -> Histogram:
    return Histogram(name, text, labels, registry=registry, buckets=buckets)


_MEMBERS = {
    "pages": "pages",
    "items_fetched": "fetched",
    "items_rejected": "rejected",
    "notifications_new": "new",
    "notifications_changed": "changed",
    "repairs": "repairs",
}
"""A counter's name → the member of a poll's summary that it sums."""

_COUNTED = {
    "pages": "Pages that were read and stored.",
    "items_fetched": "Items in those pages.",
    "items_rejected": "Items that could not be normalised, kept raw.",
    "notifications_new": "Notifications stored for the first time.",
    "notifications_changed": "Notifications that had changed.",
    "repairs": "Rows that had jumped over a page border, and were caught.",
}

_CLOCKS: dict[str, tuple[str, Sequence[str], Sequence[float]]] = {
    "tocsin_occurred_to_seen_seconds": (
        "From occurring, on the provider's clock, to the arrival of the page that shows it first.", ("source",), _SEEN
    ),
    "tocsin_seen_to_stored_seconds": ("From a page's arrival to the commit that stores all of it.", (), _WIRE),
    "tocsin_attempt_seconds": ("How long a request took.", ("endpoint",), _WIRE),
    "tocsin_stored_to_first_attempt_seconds": (
        "From a message's making to its first request to an endpoint.", ("endpoint",), _WAITS
    ),
    "tocsin_stored_to_delivered_seconds": (
        "From a message's making to the answer that took it, unless asked for by hand.", ("endpoint",), _WAITS
    ),
}  # fmt: skip
