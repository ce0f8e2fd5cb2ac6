from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import AT, NewestFirst, ScriptedProvider
from worker import past
from worker.notification import Normalised, Notification, Status
from worker.past import Edge, Presence, Span
from worker.provider import Contract

CONTRACT = ScriptedProvider.contract
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
PRESENCE = Presence(AT - DAY, AT, AT - 30 * DAY)


def notification(at: timedelta | None, status: Status = Status.NEW, expires: timedelta | None = None) -> Notification:
    """One that occurred so long ago, and expires so much later than now."""
    return Notification(
        external_id="1",
        kind=None,
        title=None,
        status=status,
        occurred_at=None if at is None else AT - at,
        expires_at=None if expires is None else AT + expires,
        raw={},
    )


def items(*ago: timedelta | None) -> list[Normalised]:
    return [Normalised(notification(at), "hash") for at in ago]


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=4000 * DAY))
def test_windows_are_the_whole_range_without_gaps_and_none_is_under_two_grains(length: timedelta) -> None:
    spans = past.cut(CONTRACT, AT, AT + length)
    assert (spans[0].start_at, spans[-1].end_at, past.adjoining(spans)) == (AT, AT + length, len(spans))
    assert len(spans) <= 1000
    assert len(spans) == 1 or all(span.end_at - span.start_at >= 2 * SECOND for span in spans)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [((False, False), Span(None, None)), ((True, False), Span(AT, None)), ((False, True), Span(None, AT + DAY))],
)
def test_without_both_filters_there_is_one_window(filters: tuple[bool, bool], expected: Span) -> None:
    contract = replace(CONTRACT, filters_from=filters[0], filters_to=filters[1])
    assert past.cut(contract, AT, AT + DAY) == [expected]


@pytest.mark.parametrize(("pages", "rows", "parts"), [(99, 9999, 0), (100, 300, 10), (3, 49_999, 0), (3, 50_000, 10)])
def test_a_window_is_parted_when_a_crash_would_lose_too_much(pages: int, rows: int, parts: int) -> None:
    found = past.parted(CONTRACT, Span(AT, AT + DAY), pages, rows)
    assert len(found) == parts
    assert all(one.end_at == other.start_at for one, other in pairwise(found))


@pytest.mark.parametrize("span", [Span(AT, AT + 3 * SECOND), Span(AT, None), Span(None, AT), Span(None, None)])
def test_what_cant_be_parted_is_read_to_its_end(span: Span) -> None:
    assert past.parted(CONTRACT, span, 1000, 100_000) == []


@pytest.mark.parametrize(
    ("joined", "pages", "expected"),
    [(1, 0, 2), (4, 20, 8), (4, 21, 4), (4, 50, 4), (4, 51, 2), (1, 99, 1), (900, 0, 1000)],
)
def test_little_joins_windows_and_much_keeps_them_apart(joined: int, pages: int, expected: int) -> None:
    assert past.stride(joined, pages) == expected


def test_only_windows_that_touch_are_joined() -> None:
    one, two, far = Span(AT, AT + DAY), Span(AT + DAY, AT + 2 * DAY), Span(AT + 3 * DAY, AT + 4 * DAY)
    open_ended = Span(None, None)
    cases = [[one], [one, two], [one, two, far], [one, far], [open_ended, open_ended]]
    assert [past.adjoining(spans) for spans in cases] == [1, 2, 2, 1, 1]


def test_the_share_is_of_the_time_and_unknown_without_bounds() -> None:
    one, two = Span(AT, AT + DAY), Span(AT + DAY, AT + 4 * DAY)
    assert (past.share([(one, True), (two, False)]), past.share([(one, True), (two, True)])) == (0.25, 1.0)
    assert (past.share([(Span(None, None), False)]), past.share([(Span(None, None), True)])) == (None, 1.0)
    assert past.share([(Span(AT, AT), False)]) == 1.0


def test_a_window_is_asked_for_with_a_grain_at_either_end() -> None:
    asked = [past.asked(CONTRACT, span) for span in (Span(AT, AT + DAY), Span(AT, None), Span(None, None))]
    assert [(window.start, window.end) for window in asked] == [
        (AT - SECOND, AT + DAY + SECOND), (AT - SECOND, None), (None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ((True, True), [2 * DAY, DAY, -DAY, None]),
        ((False, True), [DAY, -DAY, None]),
        ((True, False), [2 * DAY, DAY, None]),
    ],
)
def test_what_the_api_cant_leave_out_is_left_out_here(filters: tuple[bool, bool], kept: list[timedelta | None]) -> None:
    contract = replace(CONTRACT, filters_from=filters[0], filters_to=filters[1])
    found = past.belonging(contract, AT - DAY, AT, items(2 * DAY, DAY, -DAY, None))
    assert found == items(*kept)


def test_two_pages_that_are_wholly_too_old_end_the_reading() -> None:
    edge = Edge(NewestFirst.contract, AT - DAY, SECOND)
    old, mixed, undated = items(2 * DAY, 3 * DAY), items(DAY, 2 * DAY), items(None)
    assert [edge.passed(page) for page in (old, [], mixed, old, undated, old)] == [
        False,
        False,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("contract", [CONTRACT, replace(NewestFirst.contract, filters_from=True)])
def test_only_where_rows_come_newest_first_without_a_filter_is_there_an_edge(contract: Contract) -> None:
    edge = Edge(contract, AT, SECOND)
    assert [edge.passed(items(2 * DAY)) for _ in range(3)] == [False] * 3


@pytest.mark.parametrize(("ago", "expected"), [(DAY + SECOND, True), (DAY, False), (None, False)])
def test_the_past_ends_where_the_polls_begin(ago: timedelta | None, expected: bool) -> None:  # noqa: FBT001
    assert past.is_past(notification(ago), PRESENCE) is expected
    assert past.is_past(notification(ago), replace(PRESENCE, polled_from=None)) is False


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (notification(31 * DAY), True),
        (notification(29 * DAY), False),
        (notification(None), False),
        (notification(DAY, expires=-SECOND), True),
        (notification(DAY, expires=SECOND), False),
        (notification(31 * DAY, Status.RESOLVED), False),
        (notification(DAY, Status.IGNORED, expires=-SECOND), False),
        (notification(31 * DAY, Status.EXPIRED), False),
    ],
)
def test_what_should_have_been_closed_is_overdue(one: Notification, expected: bool) -> None:  # noqa: FBT001
    assert past.is_overdue(one, PRESENCE) is expected
