"""Reading oldest first, always the first page, from the last timestamp (POLLING, section 3). Pure.

Rows that vanish or appear before the last timestamp move nothing that is still to come. Where more rows share a
timestamp than a page holds, that time is paged until a later one shows up.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from worker.errors import ContractBroken
from worker.provider import Page, Window
from worker.rest.trail import Reading, Trail
from worker.rest.windows import Windowed


def ascending(listing: Windowed, window: Window) -> Iterator[Page]:
    """Every row of the window, oldest first. Each page is asked for from the last one's latest time less a grain.

    A page that doesn't come in order, or that ignores the time asked for, is followed by the next one of the same time
    instead; so is one that has nothing in common with those before it, as rows may lie between them.

    Raises ContractBroken where one time fills a page and there is no other page.
    """
    trail, start, trusted = Trail(listing.key), window.start, True
    while True:
        further: datetime | None = None
        for number, look in enumerate(listing.pages(replace(window, start=start))):
            rows = look.reading.rows
            attached = number == 0 or (bool(rows) and trail.confirmed(rows[0]))
            page = replace(trail.page(look.reading, confirmed=attached), repairs=look.page.repairs)
            trusted = trusted and _obeys(look.reading, start, listing)
            more = not look.page.last and (look.reading.total is None or look.reading.total > len(rows))
            further = _further(look.reading, start, listing) if more and trusted and attached else None
            ended = look.page.last or (not listing.paged and further is None and _is_all(look.reading, listing))
            yield replace(page, last=ended)
            if ended:
                return
            if further:
                break
        start = further or start


def _further(reading: Reading, start: datetime | None, listing: Windowed) -> datetime | None:
    """Where the next page may begin, if that is later than where this one began: nothing before is left to be told.

    Undated rows may be anywhere: they are paged to, where there are pages.
    """
    times = [listing.when(row) for row in reading.rows]
    known = [at for at in times if at is not None]
    if not known or known != sorted(known) or (listing.paged and len(known) < len(times)):
        return None
    reached = _cut(known[-1], listing.grain) - listing.grain
    return reached if start is None or reached > start else None


def _obeys(reading: Reading, start: datetime | None, listing: Windowed) -> bool:
    """Whether the API looks at the time asked for at all: what it doesn't know it may well ignore."""
    times = [at for row in reading.rows if (at := listing.when(row)) is not None]
    return start is None or not times or min(times) >= start - listing.grain


def _is_all(reading: Reading, listing: Windowed) -> bool:
    """Of an API with one page only, that can't be asked for a later time. Raises ContractBroken for a full page."""
    says = reading.more or (reading.total or 0) > len(reading.rows)
    if says or len(reading.rows) >= listing.size:
        raise ContractBroken("One instant of it has more rows than a page, and there is no way to ask for the others.")
    return True


def _cut(at: datetime, grain: timedelta) -> datetime:
    """Down to a whole grain, as the API's times are written."""
    return at - (at - datetime.min.replace(tzinfo=at.tzinfo)) % grain
