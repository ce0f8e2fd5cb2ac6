"""Stand-ins for what tests don't want to wait for: a clock, a provider and a sender that follow a script."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from worker.delivery import Due, Outcome, Wire
from worker.errors import ItemRejected
from worker.notification import Item, Notification, Status
from worker.provider import Contract, Order, Page, Paging, Provider, Window
from worker.webhooks.sender import Sender

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
"""When tests begin."""


class FakeClock:
    """Shows the same instant until it is turned."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> datetime:
        """So much later, as in `turn(seconds=5)`; the new instant."""
        self.at += timedelta(**by)
        return self.at


def item(external_id: object, state: str = "new", at: datetime | None = AT, **more: Any) -> dict[str, Any]:
    """A raw item of the scripted provider."""
    return {"id": external_id, "state": state, "at": at and at.isoformat(), **more}


def page(*items: Any, last: bool = False, date: datetime | None = None) -> Page:
    """A page of the scripted provider."""
    return Page(items=items, last=last, server_date=date)


Step = Page | Exception | Callable[[], object]
"""A page to give, an error to raise, or something to do between two pages."""


class ScriptedProvider(Provider):
    """A provider that gives, pass by pass, what it was told to; it remembers the windows it was asked for."""

    slug: ClassVar[str] = "scripted"
    contract: ClassVar[Contract] = Contract(
        paging=Paging.OFFSET,
        order=Order.UNKNOWN,
        filters_from=True,
        filters_to=True,
        page_size=3,
        by_id=False,
        volatile=frozenset({"seen"}),
    )

    def __init__(self, *passes: Sequence[Step]) -> None:
        self.passes = list(passes)
        self.asked: list[Window] = []
        self.given = 0

    def pages(self, window: Window) -> Iterator[Page]:
        self.asked.append(window)
        for step in self.passes.pop(0):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Page):
                self.given += 1
                yield step
            else:
                step()

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        raise NotImplementedError(change, since)

    def fetch(self, external_id: str) -> Item | None:
        raise NotImplementedError(external_id)

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        raise NotImplementedError(external_ids)

    def normalise(self, item: Item, now: datetime) -> Notification:
        if "id" not in item:
            raise ItemRejected("it has no id" + item.get("detail", ""))
        until = _instant(item.get("until"))
        return Notification(
            external_id=item["id"],
            kind=item.get("kind"),
            title=None,
            status=Status.EXPIRED if until and until < now else Status(item["state"]),
            occurred_at=_instant(item.get("at")),
            updated_at=_instant(item.get("updated")),
            raw=item,
        )


class NewestFirst(ScriptedProvider):
    """One whose rows come newest first and can't be asked for by time."""

    contract: ClassVar[Contract] = Contract(
        paging=Paging.PAGE_NUMBER,
        order=Order.NEWEST_FIRST,
        filters_from=False,
        filters_to=False,
        page_size=3,
        by_id=False,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class FakeSender:
    """A sender without a network: what is begun ends at the next look, with the answer that `answers` gives it."""

    def __init__(self, clock: Callable[[], datetime], answers: Callable[[Due], Outcome], limit: int = 500) -> None:
        self.clock, self.answers, self.limit = clock, answers, limit
        self.begun: list[Due] = []
        self._open: list[Due] = []

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def open_by_endpoint(self) -> Counter[str]:
        return Counter(due.endpoint for due in self._open)

    @property
    def room(self) -> int:
        return self.limit - self.open

    def begin(self, due: Sequence[Due]) -> list[Due]:
        self.begun += due
        self._open += due
        return list(due)

    def finished(self, _wait: timedelta) -> list[tuple[Due, Outcome]]:
        ended, self._open = self._open, []
        return [(due, self.answers(due)) for due in ended]

    @property
    def as_sender(self) -> Sender:
        """It does all that the delivery spine asks of one."""
        return cast("Sender", self)


def answered(status: int, at: datetime, retry_after: timedelta | None = None) -> Outcome:
    """The outcome of a request that was answered."""
    return Outcome(
        wire=Wire.ANSWERED,
        started_at=at - timedelta(milliseconds=120),
        answered_at=at,
        duration=timedelta(milliseconds=120),
        status_code=status,
        response_excerpt="thanks",
        retry_after=retry_after,
    )
