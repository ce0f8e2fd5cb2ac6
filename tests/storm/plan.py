"""The plan of a storm: what strikes whom, and when. Pure: the same seed and weather plan the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from random import Random
from typing import Final

WORKERS: Final = ("worker 1", "worker 2")
BEATS: Final = ("beat 1", "beat 2")
FORKING: Final = "worker 1"
"""The worker that has children; the other has threads."""
MOVED: Final = "worker 2"
"""The worker whose clock is moved."""
REDIS, POSTGRES, FLAPPING = "redis", "postgres", "the endpoint that flaps"

_A_KILL_EVERY_S: Final = (1.0, 2.0)
_A_BLOW_EVERY_S: Final = (1.5, 3.0)
_A_FLAP_EVERY_S: Final = (2.0, 5.0)
_AWAY_S: Final = (0.3, 1.5)
_FIVE_MINUTES_S: Final = 300.0


class Deed(StrEnum):
    """What a blow is."""

    KILL = "kill -9"
    KILL_PARENT = "kill -9 of the parent alone"
    KILL_CHILD = "kill -9 of a child"
    STOP = "SIGSTOP"
    CLOCK = "clock moved"
    EMPTY_REDIS = "Redis killed, and back empty"
    CUT_REDIS = "connections to Redis cut"
    RESTART_FAST = "PostgreSQL restarted, fast"
    RESTART_AT_ONCE = "PostgreSQL restarted, immediate"
    CUT_POSTGRES = "connections to PostgreSQL cut"
    FLAP = "endpoint fails"


LOSES_REQUESTS: Final = frozenset(
    {
        Deed.KILL, Deed.KILL_PARENT, Deed.KILL_CHILD, Deed.STOP,
        Deed.RESTART_FAST, Deed.RESTART_AT_ONCE, Deed.CUT_POSTGRES,
    }
)  # fmt: skip
"""What may keep a worker from recording what it has sent. Neither Redis, nor a clock, nor an endpoint does."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One blow, so many seconds after the storm began.

    `lasts_s`: how long a server is away, a worker stopped, a clock wrong, an endpoint failing. `how`: by how many
    seconds the clock is moved; what the endpoint answers, 0 for a reset; of a child, which.
    """

    at_s: float
    deed: Deed
    whom: str
    lasts_s: float = 0.0
    how: int = 0

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s


@dataclass(frozen=True, slots=True)
class Weather:
    """How long it storms. `lease_s`: how long a poll's lease and a claim last; None: as in real life.

    `deeds`: what may happen at all. `orderly`: in the end everybody is told to end, and does, which may take a while.
    """

    seconds: float = 60.0
    lease_s: float | None = 4.0
    orderly: bool = True
    deeds: frozenset[Deed] = field(default_factory=lambda: frozenset(Deed))

    @property
    def standstill_s(self) -> float:
        """Who stands still in the midst of a transaction loses it, and its locks, after so long."""
        return 15.0 if self.lease_s is None else 1.0

    @property
    def stopped_s(self) -> float:
        """For so long a worker is stopped: beyond its lease, whichever."""
        return 64.0 if self.lease_s is None else self.lease_s * 1.5


def plan(seed: int, weather: Weather) -> tuple[Blow, ...]:
    """All blows, in the order in which they fall."""
    great = [blow for blow in _great(Random(f"{seed} great"), weather) if blow.deed in weather.deeds]
    stops = [blow for blow in great if blow.deed is Deed.STOP]
    kills = [blow for blow in _kills(Random(f"{seed} kills"), weather, stops) if blow.deed in weather.deeds]
    flaps = [blow for blow in _flaps(Random(f"{seed} flaps"), weather) if blow.deed in weather.deeds]
    return tuple(sorted((*great, *kills, *flaps), key=lambda blow: blow.at_s))


def _kills(random: Random, weather: Weather, stops: Sequence[Blow]) -> Iterator[Blow]:
    """Every second or two; whoever is stopped is spared, so that it goes on at all."""
    at_s = 0.0
    while (at_s := at_s + random.uniform(*_A_KILL_EVERY_S)) < weather.seconds:
        deed, which = random.choices((Deed.KILL, Deed.KILL_PARENT, Deed.KILL_CHILD), (4, 1, 5))[0], random.randrange(8)
        whom = FORKING if deed is Deed.KILL_CHILD else random.choice(WORKERS + BEATS)
        if any(stop.whom == whom and stop.at_s <= at_s <= stop.until_s + 1.0 for stop in stops):
            whom = random.choice(BEATS)
        yield Blow(round(at_s, 2), deed if whom in WORKERS else Deed.KILL, whom, how=which)


def _great(random: Random, weather: Weather) -> Iterator[Blow]:
    """One after another: each kind comes before any comes again, and none that outlasts the storm."""
    at_s, free_at_s = 0.0, dict.fromkeys(Deed, 0.0)
    for kind in _again_and_again(random):
        at_s += random.uniform(*_A_BLOW_EVERY_S)
        if at_s >= weather.seconds:
            return
        blow = _blow(random, kind, round(max(at_s, free_at_s[kind]), 2), weather)
        if blow.until_s < weather.seconds:
            free_at_s[kind] = blow.until_s + 1.0
            yield blow


def _again_and_again(random: Random) -> Iterator[Deed]:
    first = [Deed.STOP, Deed.CLOCK]  # these last
    others = [Deed.EMPTY_REDIS, Deed.CUT_REDIS, Deed.RESTART_FAST, Deed.RESTART_AT_ONCE, Deed.CUT_POSTGRES]
    for _ in count():
        yield from random.sample(first, len(first))
        yield from random.sample(others, len(others))


def _blow(random: Random, kind: Deed, at_s: float, weather: Weather) -> Blow:
    away_s = round(random.uniform(*_AWAY_S), 2)
    match kind:
        case Deed.STOP:
            return Blow(at_s, kind, random.choice(WORKERS), weather.stopped_s)
        case Deed.CLOCK:
            moved_s = random.choice((_FIVE_MINUTES_S, -_FIVE_MINUTES_S))
            return Blow(at_s, kind, MOVED, round(random.uniform(4.0, 8.0), 2), int(moved_s))
        case Deed.EMPTY_REDIS | Deed.CUT_REDIS:
            return Blow(at_s, kind, REDIS, away_s if kind is Deed.EMPTY_REDIS else 0.0)
        case _:
            return Blow(at_s, kind, POSTGRES, 0.0 if kind is Deed.CUT_POSTGRES else away_s)


def _flaps(random: Random, weather: Weather) -> Iterator[Blow]:
    at_s = 0.0
    while (at_s := at_s + random.uniform(*_A_FLAP_EVERY_S)) < weather.seconds:
        lasts_s = min(random.uniform(*_A_FLAP_EVERY_S), weather.seconds - at_s)
        yield Blow(round(at_s, 2), Deed.FLAP, FLAPPING, round(lasts_s, 2), random.choice((500, 503, 0)))
        at_s += lasts_s
