"""A process that polls one source and delivers, and kills itself (-9) at a named point, the second time it is there.

dies_at.py POINT SOURCE [MINUTES_AHEAD]

The house is the real one; on the edge stand the collaborators that it is given: the provider, the database, the sender.
With the point `never` it goes on to the end.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count

from sqlmodel import Session, SQLModel, col, func, select

from worker.delivery import Due, Outcome
from worker.notification import Item, Notification, Outlined
from worker.provider import Page, Provider, Window
from worker.store.session import Database
from worker.store.tables import Attempt, Delivery, NotificationRow
from worker.webhooks.sender import Sender
from worker.wiring import House, read_settings, utc_now

_SECOND_TIME = 2


class Edge:
    """Kills the process at its point."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._times = count(1)

    def reached(self, point: str) -> None:
        """Here is one."""
        if point == self._point and next(self._times) == _SECOND_TIME:
            os.kill(os.getpid(), signal.SIGKILL)


class EdgyProvider:
    """Reaches a point when a page was fetched, and nobody knows of it yet."""

    def __init__(self, provider: Provider, edge: Edge) -> None:
        self.slug, self.contract = provider.slug, provider.contract
        self._provider, self._edge = provider, edge

    def pages(self, window: Window) -> Iterator[Page]:
        """The provider's pages."""
        for page in self._provider.pages(window):
            self._edge.reached("page fetched")
            yield page

    def outline(self, item: Item, now: datetime) -> Outlined:
        """The provider's word."""
        return self._provider.outline(item, now)

    def complete(self, outline: Outlined, now: datetime) -> Notification:
        """The provider's word."""
        return self._provider.complete(outline, now)

    def normalise(self, item: Item, now: datetime) -> Notification:
        """The provider's word."""
        return self._provider.normalise(item, now)


class EdgyDatabase(Database):
    """Reaches points right before and right after a commit that adds a page, a claim or an outcome."""

    def __init__(self, url: str, edge: Edge) -> None:
        super().__init__(url)
        self._edge = edge

    @contextmanager
    def transaction(self, *, first: bool = False) -> Iterator[Session]:
        """A transaction whose end may not come."""
        with super().transaction(first=first) as session:
            before = _there_are(session)
            yield session
            grown = [name for name, number in _there_are(session).items() if number > before[name]]
            for name in grown:
                self._edge.reached(f"{name} about to be committed")
        for name in grown:
            self._edge.reached(f"{name} committed")


class EdgySender(Sender):
    """Reaches a point when an answer is there, and nobody knows of it yet."""

    edge: Edge

    def finished(self, wait: timedelta) -> list[tuple[Due, Outcome]]:
        """What ended."""
        ended = super().finished(wait)
        if ended:
            self.edge.reached("request answered")
        return ended


def _there_are(session: Session) -> Mapping[str, int]:
    return {
        "page": _number(session, NotificationRow),
        "claim": _number(session, Delivery, col(Delivery.claim_token).is_not(None)),
        "outcome": _number(session, Attempt),
    }


def _number(session: Session, model: type[SQLModel], *conditions: object) -> int:
    return session.exec(select(func.count()).select_from(model).where(*conditions)).one()  # type: ignore[arg-type]


def _house(point: str, ahead: timedelta) -> House:
    edge = Edge(point)
    home = House(read_settings(), clock=lambda: utc_now() + ahead)
    home.move_in()
    home.providers = {name: EdgyProvider(provider, edge) for name, provider in home.providers.items()}  # type: ignore[misc]
    home.database.close()
    home.database = EdgyDatabase(home.settings.database, edge)
    targets = {name: home.signing.target(name) for name in home.settings.endpoints}
    home.sender = EdgySender(targets, user_agent=home.user_agent, clock=home.clock)
    home.sender.edge = edge
    return home


def main(point: str, source: str, minutes_ahead: str = "0") -> None:
    """Poll, and deliver."""
    home = _house(point, timedelta(minutes=int(minutes_ahead)))
    home.poll(source, only_due=False)
    home.deliver()
    home.close()


main(*sys.argv[1:])
