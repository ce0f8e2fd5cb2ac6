"""A source that is followed for hours and days, with the real store: what changes is seen in time, and told once.

The guards are taken away in the database, between two polls: there the steps of following keep what they go by.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from shutil import copy
from typing import Any, NamedTuple

from hypothesis import strategies as st
from sqlmodel import Session, col, select, update

from tests.integration.following.course import OVERLAP, Course
from tests.model import NEWEST_FIRST, OLDEST_FIRST, SINCE, WINDOWED, Raw
from tests.tormentor.api import Lost
from worker.provider import Contract
from worker.store.session import Database
from worker.store.tables import BucketRow, NotificationRow

FOLLOWED = {
    "windows (GovApp)": WINDOWED,
    "windows, by id": replace(WINDOWED, by_id=True),
    "by later changes (Realtime Register)": OLDEST_FIRST,
    "everything, newest first, by id (Bookkeep)": NEWEST_FIRST,
    "everything from a time on": SINCE,
}

Weaken = Callable[[Session], object]
"""What is done to the database before each poll."""


class Act(Enum):
    """What happens to a row that is followed."""

    CHANGE = "it changes"
    READ = "it is read"
    RESOLVE = "it is closed"
    REMOVE = "it vanishes"
    HIDE = "one answer leaves it out"
    NEW = "another one is made"


class Step(NamedTuple):
    """After so many minutes, this happens to that row, and to the next one as well."""

    minutes: int
    act: Act
    which: int


@st.composite
def stories(draw: st.DrawFn) -> tuple[Step, ...]:
    """What happens to the rows of one source, over hours and days."""
    minutes = st.sampled_from((0, 7, 45, 600, 5000))
    return tuple(draw(st.lists(st.builds(Step, minutes, st.sampled_from(Act), st.integers(0, 5)), max_size=3)))


@contextmanager
def followed(migrated_file: Path, folder: Path, contract: Contract) -> Iterator[Course]:
    """A source that was never polled, in a fresh database."""
    copy(migrated_file, folder / "followed.db")
    for rest in ("-wal", "-shm"):
        (folder / f"followed.db{rest}").unlink(missing_ok=True)
    with closing(Database(f"sqlite:///{folder / 'followed.db'}")) as database:
        yield Course.begun(database, contract)


@dataclass
class Story:
    """One run. `hidden` are the rows that answers leave out; `left_out`: one did."""

    course: Course
    weaken: Weaken = lambda _: None
    hidden: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    made: int = 0
    left_out: bool = False

    def __post_init__(self) -> None:
        self.course.model.doctor = self._without_hidden

    def run(self, steps: Sequence[Step]) -> None:
        """Raises Lost where a promise is broken."""
        for _ in range(4):
            self._make()
        self._poll_for(OVERLAP * 2)
        self._make()
        for step in steps:
            self.course.clock.at += timedelta(minutes=step.minutes)  # nobody polls meanwhile
            self._poll_for(self.course.every)
            self._act(step)
        self._nothing_is_told_twice()

    def _make(self) -> None:
        self.made += 1
        self.course.model.put(f"row {self.made}")
        self._poll_for(timedelta())

    def _act(self, step: Step) -> None:
        there = sorted(self.course.model.there())
        chosen = {there[(step.which + more) % len(there)] for more in range(2)} if there else set()
        _ACTS[step.act](self, chosen)

    def _changed(self, chosen: set[str], **fields: Any) -> None:
        """Each is seen within the bound of its age, or of the youngest in its bucket; closed ones are not looked at."""
        course, model = self.course, self.course.model
        open_ones = {name for name in chosen if self._state(name) not in {"resolved", "expired"}}
        began = course.clock.at
        for name in open_ones:
            model.change(name, text=f"changed at {began}", **fields)
        ages = [began - model.rows[name].states[0][0] for name in open_ones]
        bound = course.bound(max(ages, default=timedelta()))
        self._poll_for(bound, until=lambda: all(self._is_seen(name) for name in open_ones))
        for name in open_ones:
            if not self._is_seen(name):
                raise Lost(f"a change of {name} was not seen within {bound}: {self._kept(name)}")

    def _read(self, chosen: set[str]) -> None:
        self._changed(chosen, state="read")

    def _resolve(self, chosen: set[str]) -> None:
        self._changed(chosen, state="resolved")

    def _remove(self, chosen: set[str]) -> None:
        """Absent from two readings that follow the live pass's own reach, it is withdrawn if it was open."""
        course = self.course
        open_ones = {name for name in chosen if self._state(name) in {"new", "read"}}
        began = course.clock.at
        for name in chosen:
            course.model.remove(name)
            self.gone.add(name)
        ages = [began - course.model.rows[name].states[0][0] for name in open_ones]
        self._make()
        self._poll_for(OVERLAP * 2)
        self._make()
        self._poll_for(3 * course.bound(max(ages, default=timedelta()) + OVERLAP * 4), until=self._all_withdrawn)
        if not self._all_withdrawn():
            raise Lost(f"{open_ones} are gone, and not withdrawn")

    def _hide(self, chosen: set[str]) -> None:
        """One poll's answers leave them out: nobody may be withdrawn for that."""
        self.hidden |= chosen
        self.left_out = False
        self._poll_for(timedelta(hours=12), until=lambda: self.left_out)
        self.hidden.clear()
        self._poll_for(self.course.every)
        self._nobody_is_withdrawn_who_is_there()

    def _another(self, _: set[str]) -> None:
        self._make()

    def _poll_for(self, span: timedelta, until: Callable[[], bool] = lambda: False) -> None:
        """Poll at once, and whenever something is due in that time."""
        course, end = self.course, self.course.clock.at + span
        self._poll()
        while course.clock.at < end and not until():
            course.clock.at = course.next_poll(end)
            self._poll()

    def _poll(self) -> None:
        with self.course.desk.database.transaction() as session:
            self.weaken(session)
        self.course.poll()
        self._nobody_is_withdrawn_who_is_there()

    def _without_hidden(self, rows: list[Raw]) -> list[Raw]:
        shown = [row for row in rows if row["id"] not in self.hidden]
        self.left_out = self.left_out or len(shown) < len(rows)
        return shown

    def _kept(self, name: str) -> NotificationRow:
        return self.course.row(name)

    def _state(self, name: str) -> str:
        return self._kept(name).status

    def _is_seen(self, name: str) -> bool:
        raw = self.course.model.there()[name]
        return self.course.messages(name)[-1].revision > 1 and raw["text"] in self._kept(name).raw

    def _all_withdrawn(self) -> bool:
        return all(self._kept(name).withdrawn_at or not self._kept(name).followed for name in self.gone)

    def _nobody_is_withdrawn_who_is_there(self) -> None:
        with self.course.desk.database.reading() as session:
            withdrawn = select(NotificationRow.external_id).where(col(NotificationRow.withdrawn_at).is_not(None))
            wrongly = set(session.exec(withdrawn)) - self.gone
        if wrongly:
            raise Lost(f"{wrongly} are withdrawn, and there")

    def _nothing_is_told_twice(self) -> None:
        for number in range(1, self.made + 1):
            revisions = [message.revision for message in self.course.messages(f"row {number}")]
            if revisions != list(range(1, len(revisions) + 1)):
                raise Lost(f"row {number} was told as {revisions}")


_ACTS: dict[Act, Callable[[Story, set[str]], None]] = {
    Act.CHANGE: Story._changed,  # noqa: SLF001  # its own table
    Act.READ: Story._read,  # noqa: SLF001
    Act.RESOLVE: Story._resolve,  # noqa: SLF001
    Act.REMOVE: Story._remove,  # noqa: SLF001
    Act.HIDE: Story._hide,  # noqa: SLF001
    Act.NEW: Story._another,  # noqa: SLF001
}


def looked_at_late(session: Session) -> None:
    """Buckets wait three times as long as they should: each is put off once more than it was."""
    for bucket in session.exec(select(BucketRow)).all():
        if bucket.id is not None and bucket.look_again_at.microsecond != 1:
            later = bucket.look_again_at + timedelta(days=3)
            put_off = update(BucketRow).where(col(BucketRow.id) == bucket.id)
            session.execute(put_off.values(look_again_at=later.replace(microsecond=1)))


def missed_before(session: Session) -> None:
    """Everybody was missed once already, so the first absence counts as the second."""
    session.execute(update(NotificationRow).values(absences=1))


def never_followed(session: Session) -> None:
    """What the live pass has left behind is not looked at again."""
    session.execute(update(NotificationRow).values(followed=False))
