"""What becomes of an attempt, by how the receiver behaves."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.webhooks.receivers import (
    Pouring,
    Receiver,
    Script,
    answering,
    hanging,
    hanging_up,
    resetting,
    saying,
    saying_and_hanging,
    trickling,
)
from tests.integration.webhooks.sending import PATIENCE, SHORT, all_finished, due, outcome_of, sender, target
from worker.delivery import Wire

Receive = Callable[..., Receiver]
OK = b"HTTP/1.1 200 OK\r\n"
KIB = 1024


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 404, 410, 429, 500, 503, 999])
def test_an_answer_is_known_by_its_status(receive: Receive, status: int) -> None:
    outcome = outcome_of(receive(answering(status)).url)
    assert [outcome.wire, outcome.status_code] == [Wire.ANSWERED, status]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receive: Receive, status: int) -> None:
    elsewhere = receive(answering(200))
    outcome = outcome_of(receive(answering(status, Location=elsewhere.url)).url)
    assert [outcome.wire, outcome.status_code, elsewhere.connections] == [Wire.ANSWERED, status, 0]


@pytest.mark.parametrize(
    ("script", "wire", "status"),
    [
        (hanging, Wire.TIMEOUT, None),
        (trickling, Wire.TIMEOUT, 200),
        (saying_and_hanging(OK + b"Content-Length: 9\r\n\r\nabc"), Wire.TIMEOUT, 200),
        (saying_and_hanging(b"HTTP/1.1 200 OK\r\nX-Slow"), Wire.TIMEOUT, 200),
        (saying_and_hanging(b"HTTP/1.1 100 Continue\r\n\r\n"), Wire.TIMEOUT, None),
        (resetting, Wire.BROKEN_OFF, None),
        (hanging_up, Wire.BROKEN_OFF, None),
        (saying(OK + b"Content-Length: 9\r\n\r\nabc"), Wire.BROKEN_OFF, 200),
        (saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"), Wire.BROKEN_OFF, 200),
        (saying(OK + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n"), Wire.BROKEN_OFF, 200),
        (saying(b"SSH-2.0-OpenSSH\r\n"), Wire.FAILED, None),
        (saying(OK + b"\r\nabc"), Wire.ANSWERED, 200),
        (saying(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n"), Wire.ANSWERED, 202),
    ],
)
def test_an_answer_that_is_late_or_incomplete_is_none(
    receive: Receive, script: Script, wire: Wire, status: int | None
) -> None:
    outcome = outcome_of(receive(script).url, timeout=SHORT if wire is Wire.TIMEOUT else PATIENCE)
    assert [outcome.wire, outcome.status_code] == [wire, status]


def test_the_timeout_counts_to_the_last_byte(receive: Receive) -> None:
    outcome = outcome_of(receive(trickling).url, timeout=SHORT)
    assert SHORT <= outcome.duration < PATIENCE / 2


@pytest.mark.parametrize("status", [200, 410, 500])
def test_of_a_gigabyte_the_beginning_is_read_and_the_status_counts(receive: Receive, status: int) -> None:
    pouring = Pouring(status)
    outcome = outcome_of(receive(pouring).url)
    assert [outcome.wire, outcome.status_code, outcome.response_excerpt] == [Wire.ANSWERED, status, "x" * 4 * KIB]
    assert pouring.sent < 100_000_000


@pytest.mark.parametrize(
    ("sent", "wire"), [(64 * KIB - 1, Wire.BROKEN_OFF), (64 * KIB, Wire.ANSWERED), (64 * KIB + 1, Wire.ANSWERED)]
)
def test_an_answer_may_break_off_after_64_kib(receive: Receive, sent: int, wire: Wire) -> None:
    outcome = outcome_of(receive(saying(OK + b"Content-Length: 9999999\r\n\r\n" + b"x" * sent)).url)
    assert outcome.wire is wire


def test_the_beginning_of_the_answer_is_kept_as_text(receive: Receive) -> None:
    outcome = outcome_of(receive(answering(400, "Ungültig\0".encode() + b"\xff")).url)
    assert outcome.response_excerpt == "Ungültig\ufffd\ufffd"


def test_a_secret_that_the_receiver_echoes_is_not_kept(receive: Receive) -> None:
    url = receive(answering(401, b'{"authorization": "Bearer longtoken"}')).url
    outcome = outcome_of(url, headers={"Authorization": "Bearer longtoken"})
    assert outcome.response_excerpt == '{"authorization": "****************"}'


def test_compression_is_neither_asked_for_nor_undone(receive: Receive) -> None:
    receiver = receive(answering(200, b"\x1f\x8bnot really", Content_Encoding="gzip"))
    outcome = outcome_of(receiver.url)
    assert [outcome.wire, outcome.response_excerpt] == [Wire.ANSWERED, "\x1f\ufffdnot really"]
    assert "accept-encoding" not in receiver.requests[0].headers


@pytest.mark.parametrize(
    ("text", "wait"), [("120", timedelta(minutes=2)), ("Sat, 21 Nov 2026 12:05:00 GMT", timedelta(minutes=5))]
)
def test_retry_after_is_told(receive: Receive, text: str, wait: timedelta) -> None:
    url = receive(answering(503, Retry_After=text)).url
    with sender({"erp": target(url)}, clock=lambda: datetime(2026, 11, 21, 12, 0, tzinfo=UTC)) as sending:
        sending.begin([due()])
        [(_, outcome)] = all_finished(sending)
    assert outcome.retry_after == wait


def test_it_was_answered_when_the_status_arrived(receive: Receive) -> None:
    outcome = outcome_of(receive(saying_and_hanging(OK + b"Content-Length: 9\r\n\r\n")).url, timeout=SHORT)
    assert outcome.started_at <= outcome.answered_at < outcome.started_at + outcome.duration


def test_without_a_status_the_time_is_when_it_was_given_up(receive: Receive) -> None:
    outcome = outcome_of(receive(hanging).url, timeout=SHORT)
    assert outcome.answered_at - outcome.started_at >= SHORT


def test_a_refused_connection_is_refused() -> None:
    with Receiver(answering(200)) as gone:
        url = gone.url
    assert outcome_of(url).wire is Wire.REFUSED


def test_without_a_descriptor_left_an_attempt_fails_and_the_rest_goes_on(receive: Receive) -> None:
    receiver = receive(answering(204))
    with sender({"erp": target(receiver.url)}) as sending:
        sending.begin([due()])
        all_finished(sending)
        with no_descriptor_left():
            sending.begin([due(), due()])
            wires = sorted(outcome.wire for _, outcome in all_finished(sending))
    assert wires == [Wire.ANSWERED, Wire.FAILED]


def test_a_name_that_nobody_knows_is_unresolved() -> None:
    assert outcome_of("http://nowhere.invalid/").wire is Wire.UNRESOLVED


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://a\0b/",
        "http://a b/",
        "http://\ud800/",
        "ftp://127.0.0.1/",
        "file:///etc/hostname",
        "gopher://127.0.0.1/",
    ],
)
def test_a_url_that_can_not_be_used_fails_and_holds_up_nobody(receive: Receive, url: str) -> None:
    good = receive(answering(204))
    with sender({"bad": target(url), "good": target(good.url)}) as sending:
        sending.begin([due("bad"), due("good"), due("bad")])
        wires = sorted((one.endpoint, outcome.wire) for one, outcome in all_finished(sending))
    assert wires == [("bad", Wire.FAILED), ("bad", Wire.FAILED), ("good", Wire.ANSWERED)]
