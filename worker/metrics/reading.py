"""What is read from the database when metrics are asked for: the same whichever process, or how many, are asked."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from time import monotonic

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker import __version__
from worker.store import gauges
from worker.store.gauges import EndpointGauge, Gauges, SourceGauge
from worker.store.heartbeats import PRUNED, SWEEP, TICK
from worker.store.session import Database

_KEPT_FOR_S = 5.0
_OF_THE_TIME = 20
"""A look that took long is kept for so many times that: however many ask, looking takes a twentieth of the time."""

_PATIENCE_S = 4.0
"""How long a look may take before the database is said to be down. Prometheus gives a whole scrape 10 s."""

_AGAIN_AND_AGAIN = {
    SWEEP: ("tocsin_last_sweep_seconds", "How long ago deliveries were last looked for, by any worker."),
    TICK: ("tocsin_last_tick_seconds", "How long ago sources that are due were last looked for, by any worker."),
    PRUNED: ("tocsin_last_prune_seconds", "How long ago pruning last came to its end."),
}


class Stored(Collector):
    """A collector of what the database says of these sources and endpoints, kept for a few seconds.

    It tells what the last `look` found: a database that does not answer keeps nobody waiting who only collects.
    """

    def __init__(
        self,
        database: Database,
        sources: Collection[str],
        endpoints: Collection[str],
        clock: Callable[[], datetime],
        timer: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._sources, self._endpoints = frozenset(sources), frozenset(endpoints)
        self._clock, self._timer = clock, timer
        self.patience_s = _PATIENCE_S
        self._lock = Lock()
        self._looking: Event | None = None
        self._last: Gauges | None = None
        self._until = float("-inf")

    def look(self) -> None:
        """Look at the database, unless somebody just did, and wait for that; but not for long.

        One look at a time, however many ask. One that takes too long finds nothing, until it ends after all.
        """
        with self._lock:
            if self._looking is None and self._timer() < self._until:
                return
            if self._looking is None:
                self._looking = Event()
                Thread(target=self._look, args=(self._looking,), name="metrics-look", daemon=True).start()
            looking = self._looking
        if not looking.wait(self.patience_s):
            with self._lock:
                if self._looking is looking:
                    self._last = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: to find out, a registry would look at the database before anybody asks."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What is known now. Where the database can't be read, that, and no figures that were true once."""
        found, now = self._last, self._clock()
        yield _family("tocsin_info", "The version.", "version", [(__version__, 1)])
        yield _family("tocsin_database_up", "Whether the database could be read.", "", [("", found is not None)])
        if found:
            for name, (metric, text) in _AGAIN_AND_AGAIN.items():
                if name in found.last:
                    yield _family(metric, text, "", [("", _since(found.last[name], now))])
            yield from _sources([one for one in found.sources if one.name in self._sources], now)
            yield from _endpoints([one for one in found.endpoints if one.name in self._endpoints], now)

    def _look(self, ended: Event) -> None:
        began, found = self._timer(), None
        try:
            found = gauges.look(self._database)
        finally:
            took = self._timer() - began
            with self._lock:
                self._last, self._looking = found, None
                self._until = began + took + max(_KEPT_FOR_S, _OF_THE_TIME * min(took, self.patience_s))
            ended.set()


_OF_SOURCES: Mapping[str, tuple[str, Callable[[SourceGauge, datetime], float]]] = {
    "lag_seconds": (
        "How long ago it was up to which everything has been read.",
        lambda row, now: _since(row.covered_until, now),
    ),
    "failures": ("Polls that failed in a row.", lambda row, _: row.failures),
    "paused": ("Whether it waits for a person.", lambda row, _: row.paused),
    "rejected": ("Items that could not be normalised, kept raw.", lambda row, _: row.rejected),
}
_OF_ENDPOINTS: Mapping[str, tuple[str, Callable[[EndpointGauge, datetime], float]]] = {
    "pending": ("Deliveries that are owed and not yet taken.", lambda row, _: row.pending),
    "oldest_pending_seconds": (
        "How long the oldest of those has waited; 0: there is none.",
        lambda row, now: _since(row.oldest_pending_at, now),
    ),
    "exhausted": ("Deliveries that were given up.", lambda row, _: row.exhausted),
    "failures": ("Attempts that failed in a row.", lambda row, _: row.failures),
    "failing_seconds": (
        "How long nothing but failures has come of it; 0: the last attempt went well.",
        lambda row, now: _since(row.failing_since, now),
    ),
    "disabled": ("Whether nothing is sent to it.", lambda row, _: row.disabled),
}


def _sources(rows: Collection[SourceGauge], now: datetime) -> Iterator[Metric]:
    for name, (text, value) in _OF_SOURCES.items():
        yield _family(f"tocsin_source_{name}", text, "source", [(row.name, value(row, now)) for row in rows])


def _endpoints(rows: Collection[EndpointGauge], now: datetime) -> Iterator[Metric]:
    for name, (text, value) in _OF_ENDPOINTS.items():
        yield _family(f"tocsin_endpoint_{name}", text, "endpoint", [(row.name, value(row, now)) for row in rows])


def _family(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label] if label else [])
    for of, value in values:
        family.add_metric([of] if label else [], float(value))
    return family


def _since(at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - at) / timedelta(seconds=1)) if at else 0.0
