"""An endpoint behind a private authority that wants to see a certificate, over a real socket, as configured."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.desk import Desk
from tests.integration.webhooks.receivers import Receiver, answering
from tests.papers import papers


def written(folder: Path, name: str) -> tuple[Path, Path]:
    """The files of a certificate and its key."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    for file, text in zip(files, papers(name), strict=True):
        file.write_text(text)
    return files


@pytest.fixture
def demanding(desk: Desk) -> Iterator[Receiver]:
    """Takes nothing from whom it doesn't know; who doesn't know its authority, won't know it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*written(desk.folder, "server"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(written(desk.folder, "client")[0])
    with Receiver(answering(204), tls=context) as listening:
        yield listening


def sends(desk: Desk, receiver: Receiver, **endpoint: object) -> str:
    """What a test message to it comes to."""
    desk.configure({}, {"erp": {"url": receiver.url, "allow_networks": ["127.0.0.0/8"], **endpoint}})
    assert desk.tocsin("check").code == 0
    return desk.tocsin("endpoints", "test", "erp").out.partition(": ")[2].partition(" after")[0]


def test_a_receiver_with_mutual_tls_gets_its_messages(desk: Desk, demanding: Receiver) -> None:
    certificate = {"certificate": "client.pem", "key": "client.key"}
    assert sends(desk, demanding, ca="server.pem", client_certificate=certificate) == "answered 204"
    assert len(demanding.requests) == 1


def test_certificate_and_key_may_stand_in_one_file(desk: Desk, demanding: Receiver) -> None:
    desk.write("".join(papers("client")), "both.pem")
    assert sends(desk, demanding, ca="server.pem", client_certificate={"certificate": "both.pem"}) == "answered 204"


def test_without_its_certificate_nothing_arrives(desk: Desk, demanding: Receiver) -> None:
    assert sends(desk, demanding, ca="server.pem") != "answered 204"
    assert demanding.requests == []


def test_another_certificate_does_not_do(desk: Desk, demanding: Receiver) -> None:
    written(desk.folder, "stranger")
    certificate = {"certificate": "stranger.pem", "key": "stranger.key"}
    assert sends(desk, demanding, ca="server.pem", client_certificate=certificate) != "answered 204"
    assert demanding.requests == []


def test_without_its_authority_nothing_is_sent(desk: Desk, demanding: Receiver) -> None:
    certificate = {"certificate": "client.pem", "key": "client.key"}
    assert sends(desk, demanding, client_certificate=certificate) == "bad_certificate"
    assert demanding.requests == []
