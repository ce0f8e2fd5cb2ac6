"""A storm, from the first calm to the last: the plan is carried out, and what it left behind is gathered."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Final

import orjson

from tests.storm.judge import ON_ITS_WAY, Figures, Lived, Struck, figures, findings
from tests.storm.kept import Kept
from tests.storm.plan import WORKERS, Blow, Deed, Weather, plan
from tests.storm.scene import FLAPS, Scene, scene
from tests.storm.servers import FAST, IMMEDIATE
from tests.storm.waiting import wait_until
from tests.traffic import publishing
from worker.sandbox import Answer, Cut, Mix, broken_promises

_PER_SECOND: Final = 8.0
_FIRST_ROWS: Final = 6
_AT_WORK_WITHIN_S: Final = 90.0
_CALM_WITHIN_S: Final = 180.0
_TAKES_WITHIN_S: Final = 60.0
_MIX: Final = Mix(lateness=timedelta(milliseconds=700))
_TELLING: Final = frozenset({"broker.stuck", "delivery.claim_lost", "clock.wrong"})
_FELT_FOR_S: Final[Mapping[Deed, float]] = {
    Deed.STOP: 1.0, Deed.RESTART_FAST: 3.0, Deed.RESTART_AT_ONCE: 3.0, Deed.CUT_POSTGRES: 1.0
}  # fmt: skip
"""How long after its end a blow is still felt: until connections are made anew."""


@dataclass(frozen=True)
class Storm:
    """What came of one."""

    seed: int
    found: list[str]
    figures: Figures
    blows: Counter[Deed] = field(default_factory=Counter)
    calm_after_s: float = 0.0
    told: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        counted = self.figures
        struck = ", ".join(f"{deed.value} ×{times}" for deed, times in self.blows.items())
        told = ", ".join(f"{what} ×{times}" for what, times in self.told.items() if times)
        return "\n".join(
            [
                f"seed {self.seed}: {counted.blows} blows: {struck}",
                (
                    f"  {counted.rows} published, {counted.states} states, {counted.revisions} revisions, "
                    f"{counted.deliveries} deliveries, {counted.requests} requests; "
                    f"{counted.duplicates} duplicates of at most {counted.bound}; "
                    f"all arrived {self.calm_after_s:.1f} s after the storm"
                ),
                f"  told: {told or 'nothing'}",
                *(f"  BROKEN: {line}" for line in self.found),
            ]
        )


def storm(seed: int, weather: Weather, folder: Path) -> Storm:
    """Live through it, and judge. Raises TimeoutError where it never begins."""
    with scene(folder, weather) as place:
        run = _Run(place, timedelta(seconds=weather.standstill_s))
        place.sandbox.publish(_FIRST_ROWS)
        with publishing(place.sandbox, _MIX, _PER_SECOND):
            wait_until(run.is_at_work, _AT_WORK_WITHIN_S)
            run.carry_out(plan(seed, weather), weather.seconds)
        calm_after_s = run.calm()
        idle = run.idle()
        ends = run.ends() if weather.orderly else []
        lived = run.lived()
        found = [*findings(lived), *idle, *ends]
        return Storm(
            seed, found, figures(lived), Counter(one.blow.deed for one in run.struck), calm_after_s, run.told()
        )


class _Run:
    """The storm on its scene."""

    def __init__(self, place: Scene, standstill: timedelta) -> None:
        self.place = place
        self._standstill = standstill
        self.struck: list[Struck] = []

    def is_at_work(self) -> bool:
        """Everybody takes tasks, and something has arrived everywhere."""
        arrived = {one.path for one in self.place.sandbox.receiver.received()}
        return arrived >= set(self.place.wanting) and set(self.place.tasks()) == set(WORKERS)

    def carry_out(self, blows: tuple[Blow, ...], seconds: float) -> None:
        """Each at its moment, those that last beside each other."""
        begun_at, pause = monotonic(), Event()
        threads = [Thread(target=self._strike, args=(blow,)) for blow in blows]
        for blow, thread in zip(blows, threads, strict=True):
            pause.wait(max(0.0, begun_at + blow.at_s - monotonic()))
            thread.start()
        pause.wait(max(0.0, begun_at + seconds - monotonic()))
        for thread in threads:
            thread.join()

    def calm(self) -> float:
        """Wait until nothing is owed any more; the seconds that it took. What is missing then, the judge will find."""
        begun_at = monotonic()
        with suppress(TimeoutError):
            wait_until(self._is_calm, _CALM_WITHIN_S)
        return monotonic() - begun_at

    def idle(self) -> list[str]:
        """A line for each worker that takes nothing any more."""
        before = self.place.tasks()

        def all_take() -> bool:
            now = self.place.tasks()
            return all(now.get(name, 0) > before.get(name, 0) for name in WORKERS)

        try:
            wait_until(all_take, _TAKES_WITHIN_S)
        except TimeoutError:
            return [f"a worker takes nothing: {before}, and a minute later {self.place.tasks()}"]
        return []

    def ends(self) -> list[str]:
        """Everybody is told to end; a line for each that doesn't do so in order."""
        for kept in self.place.kept.values():
            kept.tell()
        return [line for kept in self.place.kept.values() for line in _ended(kept)]

    def lived(self) -> Lived:
        """What the judge needs."""
        sandbox = self.place.sandbox
        return Lived(
            sandbox.published(), self.place.wanting, sandbox.receiver.received(), self.place.owed(), self.struck
        )

    def told(self) -> dict[str, int]:
        """How often something was logged that is worth a look."""
        return Counter(
            what for kept in self.place.kept.values() for line in kept.said.splitlines() if (what := _told(line))
        )

    def _is_calm(self) -> bool:
        sandbox = self.place.sandbox
        if any(len(api.ledger.visible()) < len(api.ledger.all()) for api in sandbox.apis.values()):
            return False
        published = sandbox.published()
        for path, sources in self.place.wanting.items():
            its = {source: published[source] for source in sources}
            if any("has not arrived" in line for line in broken_promises(its, sandbox.receiver.received(path))):
                return False
        return all(one.status == "delivered" for one in self.place.owed())

    def _strike(self, blow: Blow) -> None:
        from_at = datetime.now(UTC)
        self._deeds()[blow.deed](blow)
        until_at = datetime.now(UTC)
        later_at = until_at + timedelta(seconds=_FELT_FOR_S.get(blow.deed, 0.0)) + ON_ITS_WAY
        stopped = blow.deed is Deed.STOP
        let_go_at = from_at + self._standstill + ON_ITS_WAY  # until then others may wait for its locks
        felt = ((from_at, let_go_at), (until_at, later_at)) if stopped else ((from_at, later_at),)
        self.struck.append(Struck(blow, felt))

    def _deeds(self) -> Mapping[Deed, Callable[[Blow], None]]:
        kept, postgres, broker = self.place.kept, self.place.postgres, self.place.broker
        return {
            Deed.KILL: lambda blow: kept[blow.whom].kill(),
            Deed.KILL_PARENT: lambda blow: kept[blow.whom].kill_parent(),
            Deed.KILL_CHILD: lambda blow: kept[blow.whom].kill_child(blow.how),
            Deed.STOP: self._stop,
            Deed.CLOCK: self._move_clock,
            Deed.EMPTY_REDIS: lambda blow: broker.restart(blow.lasts_s),
            Deed.CUT_REDIS: lambda _: broker.cut(),
            Deed.RESTART_FAST: lambda blow: postgres.restart(FAST, blow.lasts_s),
            Deed.RESTART_AT_ONCE: lambda blow: postgres.restart(IMMEDIATE, blow.lasts_s),
            Deed.CUT_POSTGRES: lambda _: postgres.cut(),
            Deed.FLAP: self._flap,
        }

    def _stop(self, blow: Blow) -> None:
        kept = self.place.kept[blow.whom]
        stopped = kept.stop()
        Event().wait(blow.lasts_s)
        kept.go_on(stopped)

    def _move_clock(self, blow: Blow) -> None:
        _write_whole(self.place.clock, str(blow.how))
        Event().wait(blow.lasts_s)
        _write_whole(self.place.clock, "0")

    def _flap(self, blow: Blow) -> None:
        receiver = self.place.sandbox.receiver
        receiver.script(FLAPS, then=Answer(blow.how) if blow.how else Cut())
        Event().wait(blow.lasts_s)
        receiver.script(FLAPS, then=Answer(204))


def _told(line: str) -> str | None:
    """What a line of the log complains of, without names and numbers; None: it doesn't, or is for people."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "Traceback" if line.startswith("Traceback") else None
    if said.get("level") in {"error", "critical"} or said.get("event") in _TELLING:
        return re.split(r"[\d'(:\n]", said["event"])[0].strip()
    return None


def _ended(kept: Kept) -> Iterator[str]:
    try:
        status = kept.ended()
    except TimeoutError:
        yield f"{kept.name}: told to end, it did not within a minute"
        return
    if status:
        yield f"{kept.name}: told to end, it ended with {status}"


def _write_whole(file: Path, text: str) -> None:
    """At once: who reads it meanwhile finds the old or the new."""
    other = file.with_suffix(".new")
    other.write_text(text, encoding="ascii")
    other.replace(file)
