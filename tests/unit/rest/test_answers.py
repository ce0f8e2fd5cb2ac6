import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.provider import Validators
from worker.rest.answers import Raw, Refused, complaint, decoded, understood
from worker.rest.manners import retry_after
from worker.rest.reading import http_date

RECORDINGS = Path(__file__).parents[2] / "recordings"
VIOLATIONS = "limit must be a number, fields unknown field"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


def answered(status: int, body: bytes = b"", **headers: str) -> Raw:
    return Raw(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_a_2xx_is_its_json_with_the_server_s_date() -> None:
    answer = understood(answered(200, b'{"a": 1}', date="Fri, 20 Mar 2026 11:59:58 GMT"), NOW)

    assert (answer.status, answer.json, answer.server_date) == (200, {"a": 1}, NOW - timedelta(seconds=2))


def test_an_empty_2xx_has_no_json_and_no_date() -> None:
    answer = understood(answered(200), NOW)

    assert (answer.json, answer.server_date) == (None, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, ContractBroken),
        (304, ContractBroken),
        (400, Refused),
        (401, AuthFailed),
        (402, Refused),
        (403, AuthFailed),
        (404, Refused),
        (405, Refused),
        (408, Unavailable),
        (409, Refused),
        (410, Refused),
        (422, Refused),
        (425, Unavailable),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (599, Unavailable),
    ],
)
def test_each_status_is_the_error_that_says_whose_move_it_is(status: int, expected: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as caught:
        understood(answered(status, b"why"), NOW)

    assert type(caught.value) is expected


@pytest.mark.parametrize("status", [429, 503])
def test_a_rate_limit_carries_the_wait_it_asks_for(status: int) -> None:
    with pytest.raises(RateLimited) as caught:
        understood(answered(status, retry_after="17"), NOW)

    assert caught.value.retry_after == timedelta(seconds=17)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"retry-after": "17"}),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "17"}),
        (429, {"ratelimit": '"a";r=0;t=17'}),
        (503, {"ratelimit-remaining": "0", "ratelimit-reset": "17"}),
        (429, {"retry-after": "17", "ratelimit-remaining": "0", "ratelimit-reset": "99"}),
    ],
)
def test_a_limit_that_is_used_up_is_a_rate_limit_whatever_the_status(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(RateLimited) as caught:
        understood(Raw(status, headers, b""), NOW)

    assert caught.value.retry_after == timedelta(seconds=17)


def test_a_refusal_of_credentials_with_requests_left_is_one() -> None:
    with pytest.raises(AuthFailed):
        understood(answered(403, x_ratelimit_remaining="1", x_ratelimit_reset="17"), NOW)


@pytest.mark.parametrize(
    ("back_at", "date", "expected"),
    [
        (NOW + timedelta(hours=2), None, timedelta(hours=2)),
        (NOW + timedelta(hours=2), "Fri, 20 Mar 2026 13:00:00 GMT", timedelta(hours=1)),
        (NOW + timedelta(days=400), None, timedelta(days=1)),
    ],
)
def test_a_503_s_body_says_when_the_provider_is_back(back_at: datetime, date: str | None, expected: timedelta) -> None:
    with pytest.raises(RateLimited) as caught:
        understood(answered(503, b"[1]", **({"date": date} if date else {})), NOW, lambda body: body and back_at)

    assert caught.value.retry_after == expected


def test_a_header_goes_before_a_body_that_says_when_the_provider_is_back() -> None:
    with pytest.raises(RateLimited) as caught:
        understood(answered(503, retry_after="17"), NOW, lambda _: NOW + timedelta(hours=2))

    assert caught.value.retry_after == timedelta(seconds=17)


@pytest.mark.parametrize(("status", "back_in_s"), [(503, 0), (503, -60), (500, 60)])
def test_a_body_that_says_nothing_of_the_future_leaves_the_wait_to_us(status: int, back_in_s: int) -> None:
    with pytest.raises(Unavailable):
        understood(answered(status, b"no json"), NOW, lambda _: NOW + timedelta(seconds=back_in_s))


def test_an_answer_says_what_it_is_known_by_and_when_it_wants_to_be_asked_again() -> None:
    answer = understood(answered(200, b"{}", etag='"a"', x_poll_interval="60"), NOW)

    assert (answer.validators, answer.not_before) == (Validators('"a"'), NOW + timedelta(seconds=60))
    assert not answer.not_modified


def test_a_rate_limit_without_a_wait_carries_none() -> None:
    with pytest.raises(RateLimited) as caught:
        understood(answered(429), NOW)

    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", timedelta()),
        (" 120 ", timedelta(minutes=2)),
        ("Fri, 20 Mar 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Fri, 20 Mar 2026 14:00:30 +0200", timedelta(seconds=30)),
        ("Fri, 20 Mar 2026 11:00:00 GMT", timedelta()),
        ("Fri, 20 Mar 2026 12:00:05 -0000", timedelta(seconds=5)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("9999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(written: str | None, expected: timedelta | None) -> None:
    assert retry_after(written, NOW) == expected


@settings(deadline=None)
@given(st.text())
def test_no_header_makes_reading_it_fail(written: str) -> None:
    date, wait = http_date(written), retry_after(written, NOW)

    assert date is None or date.tzinfo == UTC
    assert wait is None or wait >= timedelta()


@pytest.mark.parametrize(
    ("recording", "kind", "reason"),
    [
        (
            "realtime_register/error_400_object_does_not_exist",
            "ObjectDoesNotExist",
            "ObjectDoesNotExist: A referenced object does not exist",
        ),
        (
            "realtime_register/error_400_constraint_violation",
            "ConstraintViolationException",
            "ConstraintViolationException: One or more constraints were violated: " + VIOLATIONS,
        ),
        (
            "realtime_register/error_401_authentication",
            "AuthenticationError",
            "AuthenticationError: Authentication failed",
        ),
        (
            "bookkeep/error_unrecognized_url",
            "invalid_request_error",
            "Unrecognized request URL",
        ),
        ("govapp/error_sibling_400", None, "Bad Request: DATA - Bad Request"),
        ("govapp/error_sibling_400_string_status", None, "Bad Request: DATA - Bad Request"),
        ("govapp/error_sibling_502", None, "Bad Gateway: Unexpected error from the source: timeout"),
    ],
)
def test_each_known_shape_of_an_error_is_read(recording: str, kind: str | None, reason: str) -> None:
    told = complaint((RECORDINGS / f"{recording}.json").read_bytes())

    assert (told.kind, told.reason) == (kind, reason)


def test_the_shape_of_a_notification_that_is_not_found_is_read() -> None:
    told = complaint((RECORDINGS / "bookkeep/error_404_notification.json").read_bytes())

    assert told.kind == "invalid_or_inaccessible_notification_id"
    assert told.reason.startswith("invalid_or_inaccessible_notification_id: Notification not found or you do not have")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"HTTP Basic: Access denied.\n", "HTTP Basic: Access denied."),
        (b"<html><title>502</title>\n<h1>Bad gateway</h1></html>", "502 Bad gateway"),
        (b'{"error": "invalid_client", "error_description": "no"}', "invalid_client: no"),
        (b'{"unknown": "shape"}', '{"unknown": "shape"}'),
        (b'{"errors": []}', '{"errors": []}'),
        (b'{"errors": [5]}', '{"errors": [5]}'),
        (b"[1]", "[1]"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_any_other_error_is_plain_text(body: bytes, reason: str) -> None:
    assert complaint(body).reason == reason


def test_an_error_s_text_is_capped() -> None:
    assert len(complaint(b"x" * 5000).reason) == 300


def test_an_error_s_text_follows_its_status() -> None:
    with pytest.raises(Refused) as caught:
        understood(answered(400, b'{"type": "ValidationError", "message": "no"}'), NOW)

    assert str(caught.value) == "The provider refuses the request. It answered 400: ValidationError: no"
    assert (caught.value.status, caught.value.kind) == (400, "ValidationError")


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example/path?token=secret", "other.example"),
        ("/login?token=secret", "another path"),
        ("http://[secret", "no address"),
    ],
)
def test_a_redirect_is_refused_and_only_its_host_is_shown(location: str, shown: str) -> None:
    with pytest.raises(ContractBroken, match=shown) as caught:
        understood(answered(302, location=location), NOW)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"{",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b"1e99999",
        b"1e999999999999999999999",
        b"[" * 100_000,
        b"9" * 5000,
        b"\xff",
    ],
)
def test_what_is_no_json_is_a_broken_contract(body: bytes) -> None:
    with pytest.raises(ContractBroken):
        decoded(body)


def test_big_integers_stay_exact() -> None:
    assert decoded(b"[1180591620717411303425, 1e400]") == [2**70 + 1, 10**400]


def test_floats_are_floats() -> None:
    assert decoded(b"[1.5, -2e3]") == [1.5, -2000.0]


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_decoded_as_it_was(value: object) -> None:
    assert decoded(json.dumps(value).encode()) == value


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?", fullmatch=True)


@given(st.lists(NUMBERS | st.text().map(json.dumps), max_size=5).map(", ".join))
def test_numbers_of_any_length_are_read_exactly(written: str) -> None:
    body = f"[{written}]"
    assert repr(decoded(body.encode())) == repr(json.loads(body))


@given(st.text(st.sampled_from('[]{},:"\\0123456789.eE+-nulltrfasNI \n\x00é\ud800'), max_size=12))
def test_what_python_calls_no_json_is_none(written: str) -> None:
    body = written.encode(errors="surrogatepass")
    with suppress(ContractBroken):
        assert decoded(body) == (json.loads(body) if body.strip() else None)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["error", "errors", "type", "title", "message", "detail", "violations"]),
        st.recursive(
            st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        ),
    )
)
def test_no_error_body_makes_reading_it_fail(body: dict[str, object]) -> None:
    assert len(complaint(json.dumps(body).encode()).reason) <= 300
