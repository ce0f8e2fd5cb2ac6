from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.provider import Validators
from worker.rest.manners import LONGEST_REST, not_before, retry_after, used_up_for, validators

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
DATE = "Fri, 20 Mar 2026 11:59:00 GMT"
"""The provider's clock is a minute behind ours."""
EPOCH = int(NOW.timestamp())
MODIFIED = "Fri, 20 Mar 2026 11:58:59 GMT"
NAMES = [
    "date", "etag", "last-modified", "ratelimit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset",
    "retry-after", "x-poll-interval", "x-ratelimit-remaining", "x-ratelimit-reset",
]  # fmt: skip
PIECES = ['"a"', ";", ",", "r=0", "t=5", "remaining=0", "reset=9", "0", "-1", "1e9", "99999999999", "\\", '"', " ", "é"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"default";r=1;t=30'}, None),
        ({"ratelimit": '"day";r=5;t=80000, "burst";r=0;t=7'}, 7),
        ({"ratelimit": '"day";r=0;t=800 , "burst"; r=0; t=7'}, 800),
        ({"ratelimit": '"a;r=0;t=99, b";r=0;t=3'}, 3),
        ({"ratelimit": '"a\\";r=0;t=99";r=3;t=3'}, None),
        ({"ratelimit": "default;r=0;t=4;pk=:cHsdsRa894==:"}, 4),
        ({"ratelimit": '"hour";r=0', "ratelimit-policy": '"minute";q=10;w=60, "hour";q=99;w=3600'}, 3600),
        ({"ratelimit": '"hour";r=0', "ratelimit-policy": '"minute";q=10;w=60'}, None),
        ({"ratelimit": '"hour";r=0;t=0'}, 0),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"ratelimit": "limit=100, remaining=3, reset=50"}, None),
        ({"ratelimit": "limit=100;remaining=0;reset=5"}, 5),
        ({"ratelimit": "limit=100, remaining=0"}, None),
        ({"ratelimit": "none of it"}, None),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50),
        ({"ratelimit-remaining": "1", "ratelimit-reset": "50"}, None),
        ({"ratelimit-remaining": "0"}, None),
        ({"ratelimit-reset": "50"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "50"}, 50),
        ({"x-ratelimit-remaining": "-1", "x-ratelimit-reset": " 50 "}, 50),
        ({"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "0.5"}, 0.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-5"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH + 90}"}, 90),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH + 90}", "date": DATE}, 150),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH + 90}.25"}, 90.25),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH + 90}500"}, 90.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH - 90}"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-03-20T12:00:40.000000Z"}, 40),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "Fri, 20 Mar 2026 12:00:20 GMT"}, 20),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999999999"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "86401"}, 86400),
        ({"x-ratelimit-remaining": "none", "x-ratelimit-reset": "50"}, None),
        ({"ratelimit": '"a";r=0;t=5', "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 9),
    ],
)
def test_a_limit_that_is_used_up_says_for_how_long(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert expected == used_up_for(headers, NOW)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-poll-interval": "60"}, 60),
        ({"x-poll-interval": "0"}, None),
        ({"x-poll-interval": "-60"}, None),
        ({"x-poll-interval": "often"}, None),
        ({"x-poll-interval": "31536000"}, 86400),
        ({"x-poll-interval": "60", "ratelimit": '"a";r=0;t=90'}, 90),
        ({"x-poll-interval": "60", "ratelimit": '"a";r=0;t=9'}, 60),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "0"}, None),
        ({"retry-after": "60"}, None),
    ],
)
def test_the_provider_is_left_alone_as_long_as_it_asks(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)

    assert expected == not_before(headers, NOW)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"etag": '"abc"'}, Validators('"abc"', None)),
        ({"etag": 'W/"\xe9 a,b"'}, Validators('W/"\xe9 a,b"', None)),
        ({"etag": "unquoted"}, Validators("unquoted", None)),
        ({"etag": ""}, None),
        ({"etag": '"folded\r\n more"'}, None),
        ({"etag": "x" * 1024}, Validators("x" * 1024, None)),
        ({"etag": "x" * 1025}, None),
        ({"last-modified": MODIFIED, "date": DATE}, Validators(None, MODIFIED)),
        ({"last-modified": "Fri, 20 Mar 2026 13:58:59 +0200", "date": DATE},
         Validators(None, "Fri, 20 Mar 2026 13:58:59 +0200")),
        ({"last-modified": DATE, "date": DATE}, None),
        ({"last-modified": MODIFIED}, None),
        ({"last-modified": "yesterday", "date": DATE}, None),
        ({"last-modified": DATE, "date": DATE, "etag": '"a"'}, Validators('"a"', DATE)),
        ({"last-modified": "yesterday", "etag": '"a"'}, Validators('"a"', "yesterday")),
    ],
)  # fmt: skip
def test_an_answer_is_known_by_what_can_be_relied_on(headers: dict[str, str], expected: Validators | None) -> None:
    assert expected == validators(headers)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.text() | st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_header_makes_reading_it_fail(headers: dict[str, str]) -> None:
    until, known_by = not_before(headers, NOW), validators(headers)

    assert until is None or NOW < until <= NOW + LONGEST_REST
    assert known_by is None or known_by.etag or known_by.last_modified
    assert known_by is None or (known_by.etag or "").isprintable()


@given(st.integers(0, 10), st.integers(0, 86400), st.sampled_from(["new", "old", "numbered", "x"]))
def test_every_spelling_of_a_limit_means_the_same(remaining: int, reset: int, spelling: str) -> None:
    headers = {
        "new": {"ratelimit": f'"limit";r={remaining};t={reset}'},
        "old": {"ratelimit": f"limit=10, remaining={remaining}, reset={reset}"},
        "numbered": {"ratelimit-remaining": f"{remaining}", "ratelimit-reset": f"{reset}"},
        "x": {"x-ratelimit-remaining": f"{remaining}", "x-ratelimit-reset": f"{reset}"},
    }[spelling]

    assert used_up_for(headers, NOW) == (None if remaining else timedelta(seconds=reset))


@given(st.integers(0, 999_999_999))
def test_any_number_of_seconds_can_be_asked_for(seconds: int) -> None:
    assert retry_after(f"{seconds}", NOW) == timedelta(seconds=seconds)
