"""What a described provider is asked, and what its answers hold (POLLING, section 8). Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from worker.errors import ContractBroken
from worker.providers.described.times import Times
from worker.rest.answers import Answer
from worker.rest.client import Parameters
from worker.rest.links import next_of
from worker.rest.listing import Ask
from worker.rest.paging import Reading
from worker.rest.reading import json_kind, text
from worker.settings import Description
from worker.settings.expression import finder
from worker.settings.paging import CursorPage, LinkPage, NumberPage, OffsetPage

Parameter = tuple[str, str | int]


class Requests:
    """The requests for the pages of a list, and the reading of their answers, compiled once."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._times = Times.of(description)
        self._items = finder(description.items)
        page = description.page
        self._total = finder(page.total) if page.total else None
        self._more = finder(page.more) if page.more else None
        self._next = self._next_of(description)

    def page(self, ask: Ask) -> tuple[str, Parameters]:
        """The path and the parameters of one page."""
        return self._description.path, [*self._description.parameters.items(), *self._bounds(ask), *self._place(ask)]

    def listed(self, answer: Answer) -> Reading:
        """The rows of an answer. Raises ContractBroken where there is no list of them."""
        rows = self._items(answer.json)
        if not isinstance(rows, list):
            raise ContractBroken(f"Its items are a list at {self._description.items}; it answered {json_kind(rows)}.")
        total = self._total(answer.json) if self._total else None
        return Reading(
            rows=rows,
            server_date=answer.server_date,
            more=bool(self._more(answer.json)) if self._more else None,
            total=total if type(total) is int else None,
            next=self._next(answer),
        )

    def _bounds(self, ask: Ask) -> Iterator[Parameter]:
        time = self._description.time
        if time and time.from_ and ask.window.start:
            yield time.from_, self._times.written(ask.window.start)
        if time and time.to and ask.window.end:
            yield time.to, self._times.written(ask.window.end, up=True)

    def _place(self, ask: Ask) -> Iterator[Parameter]:
        page = self._description.page
        if page.size:
            yield page.size, ask.size
        match page:
            case OffsetPage() if ask.offset is not None:
                yield page.offset, ask.offset
            case NumberPage() if ask.number is not None:
                yield page.number, ask.number - 1 + page.first
            case CursorPage():
                yield from _cursor(page, ask)

    @staticmethod
    def _next_of(description: Description) -> Callable[[Answer], str | None]:
        page = description.page
        if isinstance(page, LinkPage | CursorPage) and page.next:
            find = finder(page.next)
            return lambda answer: text(find(answer.json))
        if isinstance(page, LinkPage):
            return lambda answer: next_of(answer.headers.get("link"))
        return lambda _: None


def single(description: Description, find: Callable[[Any], Any], answer: Answer) -> Any:
    """The one item of an answer by id. Raises ContractBroken for another shape."""
    item = find(answer.json)
    if not isinstance(item, dict):
        raise ContractBroken(f"A single item is an object at {description.item}; it answered {json_kind(item)}.")
    return item


def _cursor(page: CursorPage, ask: Ask) -> Iterator[Parameter]:
    if page.cursor and ask.cursor is not None:
        yield page.cursor, ask.cursor
    elif page.before and ask.before is not None:
        yield page.before, ask.before
    elif page.after and ask.after is not None:
        yield page.after, ask.after
    elif page.after and page.first is not None:
        yield page.after, page.first
