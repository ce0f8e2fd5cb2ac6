from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import ItemRejected
from worker.notification import Notification, Status
from worker.rest.reading import checked, earliest, external_id, instant, json_kind, latest, lines, member, text
from worker.revision import content_hash

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-20T12:00:00Z", NOON),
        ("2026-03-20t12:00:00z", NOON),
        ("2026-03-20 12:00:00Z", NOON),
        ("2026-03-20T12:00Z", NOON),
        ("2026-03-20T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-03-20T12:00:00,250Z", NOON.replace(microsecond=250_000)),
        ("2026-03-20T12:00:00.123456Z", NOON.replace(microsecond=123_456)),
        ("2026-03-20T12:00:00.123456999Z", NOON.replace(microsecond=123_456)),
        ("2026-03-20T14:00:00+02:00", NOON),
        ("2026-03-20T09:30:00-0230", NOON),
        ("2026-03-20T13:00:00+01", NOON),
        (" 2026-03-20T12:00:00Z\n", NOON),
        ("2026-03-20T11:59:60Z", NOON),
    ],
)
def test_an_instant_is_read_however_it_is_written(written: str, expected: datetime) -> None:
    assert instant(written) == expected


DIGITS = st.integers(0, 99).map("{:02}".format)
ONE_WRITTEN = st.tuples(st.integers(0, 9999).map("{:04}".format), DIGITS, DIGITS, DIGITS, DIGITS, DIGITS)
FRACTIONS = st.from_regex(r"(\.[0-9]{0,9})?", fullmatch=True)


@given(ONE_WRITTEN, FRACTIONS)
def test_an_instant_as_most_write_it_means_what_it_means_in_any_other_way(parts: tuple[str, ...], rest: str) -> None:
    """Capitals are read by the quick way, where they can be; small letters by the long one."""
    year, month, day, hour, minute, second = parts
    written = f"{year}-{month}-{day}T{hour}:{minute}:{second}{rest}Z"
    assert instant(written) == instant(written.lower())


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-20T12:00:00",
        "2026-03-20",
        "2026-02-30T12:00:00Z",
        "2026-03-20T25:00:00Z",
        "2026-03-20T12:00:61Z",
        "2026-03-20T12:00:00+24:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:60Z",
        "२०२६-03-20T12:00:00Z",
        "yesterday",
        "",
        1_774_008_000,
        True,
        None,
        ["2026-03-20T12:00:00Z"],
    ],
)
def test_what_is_no_instant_is_none(written: object) -> None:
    assert instant(written) is None


def test_a_time_without_a_zone_is_read_in_the_zone_that_is_documented() -> None:
    assert instant("2026-03-20T12:00:00", zone=UTC) == NOON
    assert instant("2026-03-20T14:00:00", zone=timezone(timedelta(hours=2))) == NOON


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants them naive
def test_every_instant_is_read_back_as_it_was(at: datetime) -> None:
    assert instant(at.isoformat()) == at


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?[+-][0-9]{4}"))
def test_no_text_makes_reading_an_instant_fail(written: str) -> None:
    read = instant(written)

    assert read is None or read.tzinfo == UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("word", "word"),
        (" kept ", " kept "),
        (7, "7"),
        (2**70, "1180591620717411303424"),
        (1.5, "1.5"),
        ("", None),
        (" \t\n", None),
        (None, None),
        (True, None),
        ({"a": 1}, None),
        (["a"], None),
        ("nul\x00lone\ud800pair\U0001f600", "nul\ufffdlone\ufffdpair\U0001f600"),
    ],
)
def test_text_is_what_can_be_stored_and_none_for_no_text(value: object, expected: str | None) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  a \t b  \r\n\n  \n c ", "a b\nc"),
        ("a\u00a0b", "a b"),
        ("\n\n", None),
        (None, None),
        (5, "5"),
    ],
)
def test_lines_have_single_spaces_and_none_is_empty(value: object, expected: str | None) -> None:
    assert lines(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1398330132, "1398330132"),
        (4294967297, "4294967297"),
        (0, "0"),
        (-1, "-1"),
        ("abc", "abc"),
        (" left exact \ud800\x00", " left exact \ud800\x00"),
        ("x" * 512, "x" * 512),
        ("x" * 513, None),
        ("", None),
        ("  ", None),
        (None, None),
        (True, None),
        (False, None),
        (1.0, None),
        ({}, None),
        ([], None),
    ],
)
def test_an_external_id_is_an_integer_or_a_text_left_exact(value: object, expected: str | None) -> None:
    assert external_id(value) == expected


def test_a_member_of_no_object_is_none() -> None:
    assert (member({"a": 1}, "a"), member({}, "a"), member([1], "a"), member(None, "a")) == (1, None, None, None)


def test_latest_and_earliest_leave_out_what_is_unknown() -> None:
    later = NOON + timedelta(seconds=1)

    assert (latest(None, NOON, later), earliest(later, None, NOON), latest(), earliest(None)) == (
        later,
        NOON,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ("x", "a string"),
        ([], "an array"),
    ],
)
def test_an_item_that_is_no_object_is_rejected_with_what_it_is(item: object, kind: str) -> None:
    with pytest.raises(ItemRejected, match=f"no JSON object but {kind}"):
        checked(item)


def test_every_json_value_has_a_name() -> None:
    assert (json_kind({}), json_kind(object())) == ("an object", "no JSON")


def test_an_item_nested_without_bounds_is_rejected() -> None:
    deep: Any = "core"
    for level in range(200):
        deep = {"in": deep} if level % 2 else [deep]

    with pytest.raises(ItemRejected, match="nested"):
        checked({"id": 1, "payload": deep})


@pytest.mark.parametrize(
    ("levels", "core", "passes"),
    [(99, {"at": 1}, True), (100, {}, True), (100, [], True), (100, {"at": 1}, False), (101, {}, False)],
)
def test_an_item_is_a_hundred_levels_deep_at_most_the_last_one_empty(levels: int, core: Any, *, passes: bool) -> None:
    deep = core
    for _ in range(levels - 1):
        deep = {"in": deep}
    given = Notification(external_id="a", kind=None, title=None, status=Status.NEW, raw=deep)

    for judge in (checked, lambda _: content_hash(given, frozenset())):
        with nullcontext() if passes else pytest.raises(ItemRejected, match="100 levels"):
            judge(deep)


def test_an_item_of_sane_depth_passes() -> None:
    item = {"id": 1, "payload": {"list": [{"more": [1]}]}}

    assert checked(item) is item
