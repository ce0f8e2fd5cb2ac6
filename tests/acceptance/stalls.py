"""A process that polls one source and stalls (SIGSTOP) between a page and its commit; it says what came of it.

stalls.py SOURCE MINUTES

So many minutes are gone for it when it goes on.
"""

import os
import signal
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

from worker.errors import LeaseLost
from worker.notification import Item, Notification, Outlined
from worker.provider import Page, Provider, Window
from worker.wiring import House, read_settings, utc_now


class Stalling:
    """A provider whose second page comes after a long while, for this process."""

    def __init__(self, provider: Provider, minutes: int) -> None:
        self.slug, self.contract = provider.slug, provider.contract
        self._provider, self._minutes = provider, minutes
        self.lost = timedelta()

    def clock(self) -> datetime:
        """What time it is for this process."""
        return utc_now() + self.lost

    def pages(self, window: Window) -> Iterator[Page]:
        """The provider's pages."""
        for number, page in enumerate(self._provider.pages(window), start=1):
            if number > 1 and not self.lost:
                self.lost = timedelta(minutes=self._minutes)
                os.kill(os.getpid(), signal.SIGSTOP)
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


def main(source: str, minutes: str) -> None:
    """Poll."""
    home = House(read_settings())
    home.move_in()
    stalling = Stalling(home.providers[source], int(minutes))
    home.providers = {source: stalling}  # type: ignore[dict-item]
    home.clock = stalling.clock
    try:
        home.poll(source, only_due=False)
    except LeaseLost:
        sys.stdout.write("its lease is lost\n")
    home.close()


main(*sys.argv[1:])
