"""Encrypted endpoints."""

import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.webhooks.receivers import Receiver, answering, http2
from tests.integration.webhooks.sending import all_finished, due, outcome_of, sender, target
from worker.delivery import Wire

Receive = Callable[..., Receiver]


def test_a_private_authority_is_trusted_where_it_is_named(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server("127.0.0.1"))
    assert outcome_of(receiver.url, ca=authority.file).status_code == 204


def test_a_private_authority_is_not_trusted_otherwise(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server("127.0.0.1"))
    assert [outcome_of(receiver.url).wire, receiver.requests] == [Wire.BAD_CERTIFICATE, []]


def test_another_authority_does_not_do(receive: Receive, authority: Any, stranger: Any) -> None:
    receiver = receive(answering(204), tls=stranger.server("127.0.0.1"))
    assert [outcome_of(receiver.url, ca=authority.file).wire, receiver.requests] == [Wire.BAD_CERTIFICATE, []]


def test_a_certificate_for_another_name_does_not_do(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server("elsewhere.example"))
    assert [outcome_of(receiver.url, ca=authority.file).wire, receiver.requests] == [Wire.BAD_CERTIFICATE, []]


def test_an_expired_certificate_does_not_do(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server("127.0.0.1", lasts=timedelta(days=-1)))
    assert [outcome_of(receiver.url, ca=authority.file).wire, receiver.requests] == [Wire.BAD_CERTIFICATE, []]


def test_the_name_in_the_url_is_the_one_that_is_checked(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server("localhost"))
    assert outcome_of(f"https://localhost:{receiver.port}/", ca=authority.file).status_code == 204


def test_an_authoritys_file_that_is_gone_fails(receive: Receive, authority: Any, tmp_path: Path) -> None:
    receiver = receive(answering(204), tls=authority.server("127.0.0.1"))
    assert outcome_of(receiver.url, ca=tmp_path / "gone.pem").wire is Wire.BAD_CERTIFICATE


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_before_1_2_is_refused(receive: Receive, authority: Any) -> None:
    old = authority.server("127.0.0.1")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    receiver = receive(answering(204), tls=old)
    outcome = outcome_of(receiver.url, ca=authority.file)
    assert [outcome.wire, receiver.requests] == [Wire.FAILED, []]


def test_a_receiver_that_speaks_no_tls_fails(receive: Receive, authority: Any) -> None:
    def plain(connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    receiver = receive(answering(204), instead=plain)
    outcome = outcome_of(receiver.url.replace("http:", "https:"), ca=authority.file)
    assert [outcome.wire, outcome.status_code] == [Wire.FAILED, None]


@pytest.mark.parametrize("in_one_file", [False, True])
def test_a_client_certificate_is_shown(receive: Receive, authority: Any, tmp_path: Path, *, in_one_file: bool) -> None:
    server = authority.server("127.0.0.1")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.file)
    certificate, key = authority.issue("tocsin.example")
    if in_one_file:
        (tmp_path / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        certificate, key = tmp_path / "both.pem", None
    receiver = receive(answering(204), tls=server)
    outcome = outcome_of(receiver.url, ca=authority.file, client_certificate=(certificate, key))
    assert outcome.status_code == 204


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_receiver_that_wants_a_client_certificate_gets_nothing_without(
    receive: Receive, authority: Any, version: ssl.TLSVersion
) -> None:
    server = authority.server("127.0.0.1")
    server.verify_mode, server.maximum_version = ssl.CERT_REQUIRED, version
    server.load_verify_locations(authority.file)
    receiver = receive(answering(204), tls=server)
    outcome = outcome_of(receiver.url, ca=authority.file)
    assert [outcome.wire is Wire.ANSWERED, receiver.requests] == [False, []]


def test_a_client_certificate_that_is_gone_fails(receive: Receive, authority: Any, tmp_path: Path) -> None:
    receiver = receive(answering(204), tls=authority.server("127.0.0.1"))
    outcome = outcome_of(receiver.url, ca=authority.file, client_certificate=(tmp_path / "gone.pem", None))
    assert outcome.wire is Wire.BAD_CERTIFICATE


def test_an_encrypted_connection_is_used_again(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server("127.0.0.1"))
    with sender({"erp": target(receiver.url, ca=authority.file)}) as sending:
        for _ in range(5):
            sending.begin([due()])
            all_finished(sending)
    assert [receiver.connections, len(receiver.requests)] == [1, 5]


def test_http2_is_spoken_where_it_is_offered(receive: Receive, authority: Any) -> None:
    bodies: list[bytes] = []
    server = authority.server("127.0.0.1")
    server.set_alpn_protocols(["h2"])
    receiver = receive(answering(500), tls=server, instead=http2(bodies))
    with sender({"erp": target(receiver.url, ca=authority.file)}) as sending:
        for body in (b"first", b"second"):
            sending.begin([due(body=body)])
            [(_, outcome)] = all_finished(sending)
            assert [outcome.wire, outcome.status_code] == [Wire.ANSWERED, 200]
    assert [bodies, receiver.connections] == [[b"first", b"second"], 1]
