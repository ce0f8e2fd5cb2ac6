import gzip
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from worker.errors import AuthFailed, ContractBroken, ProviderError, RateLimited, Unavailable
from worker.rest.answers import Refused
from worker.rest.auth import Auth, Basic, Bearer
from worker.rest.client import Api, Client, concealed, segment
from worker.rest.wire import Limits, Tls

Serve = Callable[..., Any]
Connect = Callable[..., Client]
Make = Callable[..., Callable[[Any], None]]

QUICK = Limits(connect=timedelta(seconds=1), total=timedelta(milliseconds=300), body=64 * 1024)


def trickle_body(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    drip(handler)


def trickle_chunks(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for _ in count():
        handler.wfile.write(b"1\r\nx\r\n")
        pause(handler)


def trickle_headers(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(handler)


def hang(handler: Any) -> None:
    while True:
        pause(handler)


def drip(handler: Any) -> None:
    for _ in count():
        handler.wfile.write(b"x")
        pause(handler)


def pause(handler: Any) -> None:
    """A little while, over when the client hangs up."""
    handler.connection.settimeout(0.02)
    try:
        if handler.connection.recv(1) == b"":
            raise ConnectionResetError
    except TimeoutError:
        handler.connection.settimeout(None)


def hang_up(handler: Any) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def break_off(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"half":')
    handler.close_connection = True


def test_an_answer_is_its_json_its_headers_and_the_server_s_date(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(body=b'{"a": [1, 2.5]}', X_Own="yes"))

    got = connect(script).get("things")

    assert (got.status, got.json, got.headers["x-own"]) == (200, {"a": [1, 2.5]}, "yes")
    assert got.server_date is not None
    assert got.server_date.tzinfo is UTC


def test_the_query_is_percent_encoded_and_keeps_its_order(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer())

    connect(script).get(
        "/things",
        [("order", "a"), ("order", "b"), ("at:gte", "2026-03-20T12:00:00Z"), ("page[size]", 5), ("é &", "+ %")],
    )

    assert script.asked[0].path == (
        "/things?order=a&order=b&at%3Agte=2026-03-20T12%3A00%3A00Z&page%5Bsize%5D=5&%C3%A9%20%26=%2B%20%25"
    )


def test_a_base_url_with_a_path_and_a_slash_is_joined_once(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer())

    connect(script, base_url=f"{script.url}/v2/").get("things")

    assert script.asked[0].path == "/v2/things"


def test_a_request_says_who_asks_and_what_is_accepted(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer())

    connect(script, headers={"X-Team": "erp"}).get("things")

    sent = script.asked[0].headers
    assert (sent["authorization"], sent["x-team"], sent["accept"]) == (
        "ApiKey the-secret-key",
        "erp",
        "application/json",
    )
    assert sent["user-agent"].startswith("Tocsin/")


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (Basic("user", "pässword"), "Basic dXNlcjpww6Rzc3dvcmQ="),
        (Bearer("token"), "Bearer token"),
        (Auth(), None),
    ],
)
def test_each_kind_of_fixed_credentials_is_a_header(
    serve: Serve, connect: Connect, answer: Make, auth: Auth, header: str | None
) -> None:
    script = serve(answer())

    connect(script, auth=auth).get("things")

    assert script.asked[0].headers.get("authorization") == header


def test_a_post_has_no_body(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(body=b""))

    got = connect(script).post("things/1/ack")

    assert (got.json, script.asked[0].method, script.asked[0].body) == (None, "POST", b"")


@pytest.mark.parametrize(
    ("status", "expected", "tries"),
    [
        (302, ContractBroken, 1),
        (400, Refused, 1),
        (401, AuthFailed, 1),
        (403, AuthFailed, 1),
        (404, Refused, 1),
        (410, Refused, 1),
        (429, RateLimited, 1),
        (500, Unavailable, 3),
        (502, Unavailable, 3),
        (503, Unavailable, 3),
        (504, Unavailable, 3),
    ],
)
def test_each_status_is_an_error_after_so_many_tries(
    serve: Serve, connect: Connect, answer: Make, status: int, expected: type[ProviderError], tries: int
) -> None:
    script = serve(answer(status, b'{"type": "Word", "message": "their text"}'))

    with pytest.raises(ProviderError) as caught:
        connect(script).get("things")

    assert (type(caught.value), len(script.asked)) == (expected, tries)


def test_what_passes_in_a_moment_is_tried_again(
    serve: Serve, connect: Connect, answer: Make, waits: list[float]
) -> None:
    script = serve(answer(502), hang_up, answer(body=b"[1]"))

    assert connect(script).get("things").json == [1]
    assert len(script.asked) == 3
    assert all(0 < wait < 3 for wait in waits)


def test_a_503_that_says_when_to_come_back_is_not_tried_again(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(503, Retry_After="60"))

    with pytest.raises(RateLimited) as caught:
        connect(script).get("things")

    assert (caught.value.retry_after, len(script.asked)) == (timedelta(seconds=60), 1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("90", timedelta(seconds=90)), ("Fri, 20 Mar 2026 12:01:00 GMT", timedelta(minutes=1)), ("later", None)],
)
def test_a_429_carries_the_wait_in_either_form(
    serve: Serve, connect: Connect, answer: Make, header: str, expected: timedelta | None
) -> None:
    with pytest.raises(RateLimited) as caught:
        connect(serve(answer(429, Retry_After=header))).get("things")

    assert caught.value.retry_after == expected


def test_a_redirect_is_not_followed(serve: Serve, connect: Connect, answer: Make) -> None:
    elsewhere = serve(answer())
    script = serve(answer(307, Location=f"{elsewhere.url}/?key=the-secret-key"))

    with pytest.raises(ContractBroken, match=r"redirects to 127\.0\.0\.1"):
        connect(script).get("things")

    assert elsewhere.asked == []


def test_fresh_headers_are_made_for_every_try(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(500), answer(500), answer())
    numbers = count()
    client = connect(script, fresh_headers=lambda: {"x-correlation-id": str(next(numbers))})

    client.get("things")
    client.get("things")

    assert [asked.headers["x-correlation-id"] for asked in script.asked] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("body", [b"<html>", b'{"a": NaN}', b"[" * 50_000])
def test_an_answer_that_is_no_json_is_a_broken_contract(
    serve: Serve, connect: Connect, answer: Make, body: bytes
) -> None:
    with pytest.raises(ContractBroken, match="not JSON"):
        connect(serve(answer(body=body))).get("things")


def test_an_answer_of_the_largest_size_is_read(serve: Serve, connect: Connect, answer: Make) -> None:
    body = b'"' + b"x" * (64 * 1024 - 2) + b'"'

    assert len(connect(serve(answer(body=body))).get("things").json) == 64 * 1024 - 2


def test_an_answer_that_is_too_large_is_a_broken_contract(serve: Serve, connect: Connect, answer: Make) -> None:
    body = b'"' + b"x" * (64 * 1024 - 1) + b'"'

    with pytest.raises(ContractBroken, match="65536 bytes"):
        connect(serve(answer(body=body))).get("things")


def test_by_default_sixteen_mebibytes_and_half_a_minute_are_the_bounds() -> None:
    assert (Limits().body, Limits().total, Limits().connect) == (
        16 * 1024 * 1024,
        timedelta(seconds=30),
        timedelta(seconds=10),
    )


def test_a_compressed_answer_is_decoded(serve: Serve, connect: Connect, answer: Make) -> None:
    body = gzip.compress(b'{"a": 1}')

    assert connect(serve(answer(body=body, Content_Encoding="gzip"))).get("things").json == {"a": 1}


def test_a_bomb_of_compressed_nothing_is_a_broken_contract(serve: Serve, connect: Connect, answer: Make) -> None:
    bomb = gzip.compress(b" " * 200_000_000, 6)

    with pytest.raises(ContractBroken, match="65536 bytes"):
        connect(serve(answer(body=bomb, Content_Encoding="gzip")), limits=Limits(body=64 * 1024)).get("things")


def test_a_compressed_answer_that_is_none_is_a_broken_contract(serve: Serve, connect: Connect, answer: Make) -> None:
    with pytest.raises(ContractBroken, match="decoded"):
        connect(serve(answer(body=b"not gzip", Content_Encoding="gzip"))).get("things")


@pytest.mark.parametrize("slow", [trickle_body, trickle_chunks, trickle_headers, hang])
def test_an_answer_that_trickles_ends_at_the_deadline(
    serve: Serve, connect: Connect, slow: Callable[[Any], None]
) -> None:
    script = serve(slow)

    with pytest.raises(Unavailable, match="in time"):
        connect(script, limits=QUICK).get("things")

    assert len(script.asked) == 1


def test_a_request_that_has_no_time_left_is_given_up(serve: Serve, connect: Connect, answer: Make) -> None:
    with pytest.raises(Unavailable, match="in time"):
        connect(serve(answer()), limits=Limits(total=timedelta())).get("things")


def test_a_connection_is_kept_and_the_deadline_is_each_request_s_own(
    serve: Serve, connect: Connect, answer: Make
) -> None:
    ports = []

    def note(handler: Any) -> None:
        ports.append(handler.client_address[1])
        answer()(handler)

    client = connect(serve(note))
    client.get("things")
    client.get("things")

    assert len(set(ports)) == 1


def test_a_server_that_closes_after_its_answer_is_read_to_the_end(serve: Serve, connect: Connect) -> None:
    def closing(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[" + b" " * 50_000 + b"1]")

    assert connect(serve(closing)).get("things").json == [1]


@pytest.mark.parametrize("end", [hang_up, break_off])
def test_a_connection_that_breaks_is_tried_three_times(
    serve: Serve, connect: Connect, end: Callable[[Any], None]
) -> None:
    script = serve(end)

    with pytest.raises(Unavailable, match="broke off"):
        connect(script).get("things")

    assert len(script.asked) == 3


def test_a_port_where_nobody_listens_is_unavailable(connect: Connect, closed_port: int) -> None:
    with pytest.raises(Unavailable, match=r"No connection to 127\.0\.0\.1"):
        connect(None, base_url=f"http://127.0.0.1:{closed_port}/v1?key=hidden").get("things")


def test_no_try_is_made_after_the_deadline(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(500))

    with pytest.raises(Unavailable):
        connect(script, limits=Limits(total=timedelta(milliseconds=50))).get("things")

    assert len(script.asked) == 1


def test_a_server_that_speaks_no_tls_is_unavailable(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer())

    with pytest.raises(Unavailable, match=r"No trust in 127\.0\.0\.1"):
        connect(script, base_url=script.url.replace("http:", "https:")).get("things")


def test_a_client_certificate_that_is_not_there_is_no_crash(
    serve: Serve, connect: Connect, answer: Make, tmp_path: Path
) -> None:
    script = serve(answer())
    client = connect(
        script,
        base_url=script.url.replace("http:", "https:"),
        tls=Tls(certificate=tmp_path / "none.pem", key=tmp_path / "none.key"),
    )

    with pytest.raises(ProviderError):
        client.get("things")


def test_a_header_that_can_not_be_sent_is_not_repeated(serve: Serve, connect: Connect, answer: Make) -> None:
    client = connect(serve(answer()), auth=Bearer("hidden\nX-Other: 1"))

    with pytest.raises(ContractBroken) as caught:
        client.get("things")

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_secret_that_the_provider_repeats_is_not_shown(
    serve: Serve, connect: Connect, answer: Make, status: int
) -> None:
    body = b'{"type": "AuthenticationError", "message": "key the-secret-key of erp-header is wrong"}'
    client = connect(serve(answer(status, body)), headers={"X-Key": "erp-header"})

    with pytest.raises(ProviderError) as caught:
        client.get("things")

    assert "AuthenticationError" in str(caught.value)
    assert "the-secret-key" not in f"{caught.value} {caught.value!r} {caught.value.args}"
    assert "erp-header" not in f"{caught.value} {caught.value!r}"


def test_nothing_secret_is_in_a_repr(serve: Serve, connect: Connect, answer: Make) -> None:
    client = connect(serve(answer()), auth=Basic("user", "the-password"))

    assert "the-password" not in repr(vars(client))
    assert "the-secret-key" not in repr(vars(connect(serve(answer()))))


def test_cookies_are_not_kept(serve: Serve, connect: Connect, answer: Make) -> None:
    script = serve(answer(Set_Cookie="session=1"))
    client = connect(script)

    client.get("things")
    client.get("things")

    assert "cookie" not in script.asked[1].headers


def test_a_proxy_of_the_environment_is_not_used(
    serve: Serve, connect: Connect, answer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, script = serve(answer(500)), serve(answer())
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)

    connect(script).get("things")

    assert (len(proxy.asked), len(script.asked)) == (0, 1)


def test_a_netrc_of_the_user_is_not_read(
    serve: Serve, connect: Connect, answer: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password other")
    monkeypatch.setenv("NETRC", str(netrc))
    script = serve(answer())

    connect(script, auth=Auth()).get("things")

    assert "authorization" not in script.asked[0].headers


def test_only_what_is_long_enough_to_be_a_secret_is_concealed() -> None:
    assert concealed("a=1 abcd abc", ["1", "abc", "abcd"]) == "a=1 … abc"


@pytest.mark.parametrize(("part", "encoded"), [("a@b.c", "a%40b.c"), ("a/b", "a%2Fb"), ("é", "%C3%A9"), ("%", "%25")])
def test_a_segment_of_a_path_is_percent_encoded(part: str, encoded: str) -> None:
    assert segment(part) == encoded


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_segment_that_leads_elsewhere_is_refused(part: str) -> None:
    with pytest.raises(ContractBroken):
        segment(part)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound and not listened at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_without_other_means_our_own_clock_and_the_usual_bounds_are_used(serve: Serve, answer: Make) -> None:
    script = serve(answer(429, Retry_After="Wed, 01 Jan 2020 00:00:00 GMT"))
    client = Client(Api(base_url=script.url))

    with pytest.raises(RateLimited) as caught:
        client.get("things")

    client.close()
    assert caught.value.retry_after == timedelta()


def test_the_clock_is_asked_for_what_a_date_means(serve: Serve, connect: Connect, answer: Make) -> None:
    past = datetime(2026, 3, 20, 11, tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")

    with pytest.raises(RateLimited) as caught:
        connect(serve(answer(429, Retry_After=past))).get("things")

    assert caught.value.retry_after == timedelta()
