"""Whether a description fits what an API gives, as far as items show it: what `tocsin check` tells of it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from worker.notification import Item, Status
from worker.providers.described.mapping import word
from worker.providers.described.times import Times
from worker.settings import Description
from worker.settings.description import Mapped
from worker.settings.expression import finder
from worker.settings.paging import CursorPage, LinkPage
from worker.settings.wording import quoted

_ENOUGH = 5
"""Items: so many that what is in none of them is probably not there at all."""

_MOST_WORDS = 3
_INSTANTS = frozenset({"occurred_at", "updated_at", "expires_at", "read_at", "closed_at", "provider_delivered_at"})


@dataclass(frozen=True, slots=True)
class Fit:
    """What doesn't fit, each with its key below the provider's: what is `wrong` for certain, and what is `doubtful`."""

    wrong: tuple[str, ...]
    doubtful: tuple[str, ...]


def fit(description: Description, items: Sequence[Item], *, full_and_last: bool) -> Fit:
    """How a page's items, those that are understood, fit their description.

    `full_and_last`: it has as many as were asked for, and seems to be the last.
    """
    doubts = [*(_endings(description) if full_and_last else ()), *_doubts(description, items)]
    return Fit(tuple(_timeless(description, items)), tuple(doubts))


def _endings(description: Description) -> Iterator[str]:
    """A next page that is looked for in the wrong place is never found: what follows would be left out."""
    page = description.page
    if isinstance(page, LinkPage | CursorPage) and page.next:
        yield f"page.next: nothing is at {quoted(page.next)} although the page is full"
    elif isinstance(page, LinkPage):
        yield "page: there is no Link header although the page is full"


def _timeless(description: Description, items: Sequence[Item]) -> Iterator[str]:
    """Without times nothing is ever complete up to anywhere, and every poll reads everything."""
    if not items or description.time is None:
        return
    paths = {"time.field": description.time.field}
    if description.map.occurred_at:
        paths["map.occurred_at"] = description.map.occurred_at.path
    for key, path in paths.items():
        yield from _absent(key, path, items, Times.of(description).read)


def _doubts(description: Description, items: Sequence[Item]) -> Iterator[str]:
    entries = {name: entry for name in Mapped.model_fields if (entry := getattr(description.map, name))}
    if description.time:
        entries.pop("occurred_at", None)
    for name, entry in entries.items() if len(items) >= _ENOUGH else ():
        readable = Times.of(description).read if name in _INSTANTS else word
        yield from _absent(f"map.{name}", entry.path, items, readable)
    yield from _unlisted(description, items)


def _absent(key: str, path: str, items: Sequence[Item], readable: Callable[[Any], object]) -> Iterator[str]:
    find = finder(path)
    found = [value for item in items if (value := find(item)) is not None]
    if not found:
        yield f"{key}: nothing is at {quoted(path)} in any item"
    elif all(readable(value) is None for value in found):
        yield f"{key}: what is at {quoted(path)} is no {'time' if readable is not word else 'text'} in any item"


def _unlisted(description: Description, items: Sequence[Item]) -> Iterator[str]:
    entry = description.map.status
    if entry is None:
        return
    find, listed = finder(entry.path), set(entry.values or (status.value for status in Status))
    unlisted = sorted({said for item in items if (said := word(find(item)))} - listed)
    if unlisted:
        shown = ", ".join(quoted(said) for said in unlisted[:_MOST_WORDS])
        yield f"map.status.values: {shown}{', …' if unlisted[_MOST_WORDS:] else ''} not listed, which means new"
