"""A page that comes again by mistake is not taken for the end: it is asked for once more."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.provider import Page, Window
from worker.rest.anchored import anchored_offset
from worker.rest.ascending import ascending
from worker.rest.ids import Ids, onward
from worker.rest.paging import page_numbers
from worker.rest.trail import Look, Reading
from worker.rest.windows import Windowed

AT = datetime(2026, 3, 20, 12, tzinfo=UTC)
ROWS = [{"id": str(number), "at": AT + timedelta(minutes=number)} for number in range(100, 112)]


def _id(row: Any) -> str | None:
    name: str | None = row["id"]
    return name


def _at(row: Any) -> datetime | None:
    at: datetime | None = row["at"]
    return at


def _read(start: int, size: int, *, counts: bool = False) -> Reading:
    return Reading(rows=ROWS[start : start + size], total=len(ROWS) if counts else None)


def _by_number(number: int, size: int) -> Reading:
    return _read((number - 1) * size, size)


def _after(name: str | None, size: int) -> Reading:
    return _read(int(name) - 99 if name else 0, size)


def _mistaken(read: Callable[..., Reading], at: int) -> Callable[..., Reading]:
    """At one request, the last answer again."""
    answers: list[Reading] = []

    def again(*asked: Any) -> Reading:
        answers.append(answers[-1] if len(answers) == at else read(*asked))
        return answers[-1]

    return again


WAYS: dict[str, Callable[[int], Iterator[Page]]] = {
    "offset": lambda at: anchored_offset(_mistaken(_read, at), 4, _id),
    "offset, with a total": lambda at: anchored_offset(
        _mistaken(lambda start, size: _read(start, size, counts=True), at), 4, _id
    ),
    "page number": lambda at: page_numbers(_mistaken(_by_number, at), 4, _id),
    "from an id": lambda at: onward(_mistaken(_after, at), _ids(), None, 4),
}


def _ids() -> Ids:
    return Ids(key=_id, when=_at, newest_first=False, numeric=True, overlap=timedelta())


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_page_that_comes_again_by_mistake_ends_nothing(way: Callable[[int], Iterator[Page]], at: int) -> None:
    found = [row for page in way(at) for row in page.items]
    assert sorted(found, key=lambda row: str(row["id"])) == ROWS


@pytest.mark.parametrize("at", range(1, 8))
def test_one_that_does_while_rows_come_above_ends_nothing_either(at: int) -> None:
    """A row that comes shows the page before once more; and the answer to whether offsets mean anything is mistaken."""
    rows = list(ROWS)

    def read(offset: int, size: int) -> Reading:
        if offset == 1:  # after the second request
            found = Reading(rows=rows[1:3])
            rows.insert(0, {"id": "new", "at": AT})
            return found
        return Reading(rows=rows[offset : offset + size])

    found = [row for page in anchored_offset(_mistaken(read, at), 2, _id) for row in page.items]
    assert [row for row in ROWS if row not in found] == []


def test_an_undated_row_on_a_full_page_does_not_end_the_reading_of_an_api_with_one_page_alone() -> None:
    rows: list[Any] = [*ROWS, {"id": "undated", "at": None}]

    def pages(window: Window) -> Iterator[Look]:
        start = window.start
        inside = [row for row in rows if start is None or (row["at"] is not None and row["at"] >= start)]
        reading = Reading(rows=[rows[-1], *inside[:4]] if start is None else inside[:5])
        yield Look(Page(items=reading.rows, last=False), reading)

    alone = Windowed(pages=pages, paged=False, key=_id, when=_at, size=5, grain=timedelta(seconds=1))
    found = [row["id"] for page in ascending(alone, Window()) for row in page.items]
    assert sorted(found) == sorted(row["id"] for row in rows)
