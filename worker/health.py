"""Whether an installation is at work: its servers do theirs, and deliveries and due sources were just looked for.

That is the proof from end to end: a beat sent a tick, the broker kept it, a worker took it, the database answered.
No look at a process alone sees a worker that lives and takes nothing. It says nothing of sources and endpoints, which
is what `tocsin status` is for. Each thing is asked at the same time, on a connection of its own, and for a few seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from worker.errors import ConfigurationError
from worker.settings import Places
from worker.store.glance import glance
from worker.store.head import HEAD

PATIENCE = timedelta(seconds=4)
"""How long a server may take to answer."""

FRESH_FOR = timedelta(seconds=60)
"""How old the last look may be. One a second, or in five, is asked for, and one in twenty by a `tocsin run` that has
nothing to do; polls that take long may keep all workers for a while."""

_WHO = {"sweep": "a worker", "tick": "a worker that polls"}
SUBJECTS = ("database", "broker", *_WHO)
"""Of what signs are: its servers; that deliveries were looked for (sweep), and sources that are due (tick)."""

_SQLITE = "sqlite:///"
_WRITTEN = "tocsin:health"
_FULL = "it is full and takes no task: give it more memory, or empty it, which loses nothing of ours"


@dataclass(frozen=True, slots=True)
class Sign:
    """What one look found: of what, whether that is well, and in words."""

    subject: str
    good: bool
    text: str


def look(places: Places, clock: Callable[[], datetime], patience: timedelta = PATIENCE) -> list[Sign]:
    """What `SUBJECTS` says: always these, in this order. Raises nothing, and never waits for long."""
    asked = [
        _Asked(("database", *_WHO), lambda: _of_database(places.database, clock(), patience)),
        _Asked(("broker",), lambda: _of_broker(places.broker, patience)),
    ]
    found = {sign.subject: sign for each in asked for sign in each.answer(patience)}
    return [found[subject] for subject in SUBJECTS]


def told(signs: Sequence[Sign]) -> dict[str, Any]:
    """The signs as JSON: `status` is `ok` or `failing`, and each subject has its `ok` and its `text`."""
    all_well = all(sign.good for sign in signs)
    return {"status": "ok" if all_well else "failing"} | {
        sign.subject: {"ok": sign.good, "text": sign.text} for sign in signs
    }


class _Asked:
    """A question that is being asked, in a thread that nobody waits for longer than he has patience."""

    def __init__(self, subjects: Sequence[str], ask: Callable[[], list[Sign]]) -> None:
        self._subjects, self._ask = subjects, ask
        self._answer: Queue[list[Sign]] = Queue()
        Thread(target=self._run, name=f"health-{subjects[0]}", daemon=True).start()

    def answer(self, patience: timedelta) -> list[Sign]:
        try:
            return self._answer.get(timeout=patience.total_seconds())
        except Empty:
            silent = f"no answer within {patience / timedelta(seconds=1):g} s"
            return [Sign(subject, good=False, text=silent) for subject in self._subjects]

    def _run(self) -> None:
        self._answer.put(self._ask())


def _of_database(url: str, now: datetime, patience: timedelta) -> list[Sign]:
    file = Path(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and not file.exists():  # to look into it would make it
        return _all("there is no such file yet: run tocsin migrate, or tocsin run")
    try:
        found = glance(url, HEAD, patience)
    except ConfigurationError as error:
        return _all(str(error))
    if found.schema is None:
        return _all("it has no tables yet: run tocsin migrate")
    if problem := found.schema.problem():
        return _all(problem)
    database = Sign("database", good=True, text=f"schema {found.schema.version}")
    return [database, fresh("sweep", found.swept_at, now), fresh("tick", found.ticked_at, now)]


def _all(text: str) -> list[Sign]:
    return [Sign("database", good=False, text=text), *(Sign(each, good=False, text="not known") for each in _WHO)]


def fresh(subject: str, at: datetime | None, now: datetime) -> Sign:
    """Whether the last look is fresh; one that is far in our future says as little as one that is long ago."""
    question = f"is {_WHO[subject]} running, and a beat?"
    if at is None:
        return Sign(subject, good=False, text=f"none yet: {question}")
    seconds = round((now - at) / timedelta(seconds=1))
    if now - at > FRESH_FOR:
        return Sign(subject, good=False, text=f"the last {seconds} s ago: {question}")
    if at - now > FRESH_FOR:
        return Sign(subject, good=False, text=f"{-seconds} s ahead of our clock: set the clocks of all machines")
    return Sign(subject, good=True, text=f"{max(0, seconds)} s ago")


def _of_broker(url: str, patience: timedelta) -> list[Sign]:
    if url.startswith("memory:"):
        return [Sign("broker", good=True, text="memory://, one process")]
    from redis import Redis, RedisError  # noqa: PLC0415  # a fifth of a second that one process can do without
    from redis.exceptions import OutOfMemoryError  # noqa: PLC0415  # as above

    seconds = patience.total_seconds()
    try:
        with Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds) as client:
            client.set(_WRITTEN, "", px=1000)  # to answer is not enough: one that is full takes no task
    except OutOfMemoryError:
        return [Sign("broker", good=False, text=_FULL)]
    except (RedisError, OSError, ValueError) as error:
        return [Sign("broker", good=False, text=f"it can't be used: {type(error).__name__}")]
    return [Sign("broker", good=True, text="it takes tasks")]
