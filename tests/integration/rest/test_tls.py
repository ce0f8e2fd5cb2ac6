import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from worker.errors import Unavailable
from worker.provider import Window
from worker.providers import PROVIDERS, build
from worker.rest.client import Api, Client, Means
from worker.rest.wire import Tls

Start = Callable[..., str]


class _Handler(BaseHTTPRequestHandler):
    """Whatever is asked for, it is a token and an empty list."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
        body = b'{"totalAmount": 0}' if self.command == "GET" else b'{"access_token": "the-token"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(HTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Refused handshakes are what the tests are about."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a certificate and key by it: for the server and for a client."""
    folder = tmp_path_factory.mktemp("tls")
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    own = (
        _certificate(name, name, authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(authority, SHA256())
    )
    (folder / "ca.pem").write_bytes(own.public_bytes(Encoding.PEM))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a host")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    issued = (
        _certificate(subject, name, key)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, SHA256())
    )
    (folder / "own.pem").write_bytes(issued.public_bytes(Encoding.PEM))
    (folder / "own.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "both.pem").write_bytes((folder / "own.pem").read_bytes() + (folder / "own.key").read_bytes())
    return folder


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


@pytest.fixture
def asked() -> list[tuple[str, dict[str, str]]]:
    """The requests that reached the servers: method and headers."""
    return []


@pytest.fixture
def secure(files: Path, asked: list[tuple[str, dict[str, str]]]) -> Iterator[Start]:
    """Starts a server with TLS, which may ask for the client's certificate."""
    servers = []

    def start(*, mutual: bool = False) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files / "own.pem", files / "own.key")
        if mutual:
            context.load_verify_locations(files / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        server = _Server(("127.0.0.1", 0), type("Asked", (_Handler,), {"asked": asked}))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"https://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ask(means: Means) -> Callable[[str, Tls], Any]:
    """Asks a server once."""

    def get(url: str, tls: Tls) -> Any:
        client = Client(Api(base_url=url, tls=tls), means)
        try:
            return client.get("things").json
        finally:
            client.close()

    return get


def test_a_certificate_of_an_unknown_authority_is_not_trusted(secure: Start, ask: Any) -> None:
    with pytest.raises(Unavailable, match=r"No trust in 127\.0\.0\.1: unable to get local issuer certificate"):
        ask(secure(), Tls())


def test_a_certificate_of_the_configured_authority_is_trusted(secure: Start, ask: Any, files: Path) -> None:
    assert ask(secure(), Tls(ca=files / "ca.pem")) == {"totalAmount": 0}


def test_a_certificate_of_another_host_is_not_trusted(secure: Start, ask: Any, files: Path) -> None:
    with pytest.raises(Unavailable, match="No trust in localhost"):
        ask(secure().replace("127.0.0.1", "localhost"), Tls(ca=files / "ca.pem"))


@pytest.mark.parametrize(("certificate", "key"), [("own.pem", "own.key"), ("both.pem", None)])
def test_a_client_certificate_is_shown_to_a_server_that_asks(
    secure: Start, ask: Any, files: Path, certificate: str, key: str | None
) -> None:
    tls = Tls(ca=files / "ca.pem", certificate=files / certificate, key=None if key is None else files / key)

    assert ask(secure(mutual=True), tls) == {"totalAmount": 0}


def test_without_a_client_certificate_such_a_server_is_unavailable(secure: Start, ask: Any, files: Path) -> None:
    with pytest.raises(Unavailable):
        ask(secure(mutual=True), Tls(ca=files / "ca.pem"))


def test_a_source_s_certificate_and_authorities_are_used(secure: Start, means: Means, files: Path) -> None:
    written = {
        "provider": "govapp",
        "base_url": secure(mutual=True),
        "auth": {"kind": "bearer", "token": "token"},
        "ca": str(files / "ca.pem"),
        "client_certificate": {"certificate": str(files / "own.pem"), "key": str(files / "own.key")},
    }
    provider, client = build(PROVIDERS["govapp"].options.model_validate(written), means)

    assert [page.last for page in provider.pages(Window())] == [True]
    client.close()


def test_a_source_s_certificate_and_headers_are_shown_to_the_token_endpoint_too(
    secure: Start, means: Means, files: Path, asked: list[tuple[str, dict[str, str]]]
) -> None:
    url = secure(mutual=True)
    written = {
        "provider": "govapp",
        "base_url": url,
        "auth": {"kind": "oauth2", "token_url": f"{url}/token", "client_id": "us", "client_secret": "the-secret"},
        "headers": {"X-Magda-Enduser-ID": "acme"},
        "ca": str(files / "ca.pem"),
        "client_certificate": {"certificate": str(files / "own.pem"), "key": str(files / "own.key")},
    }
    provider, client = build(PROVIDERS["govapp"].options.model_validate(written), means)

    pages = list(provider.pages(Window()))

    client.close()
    assert [True] == [page.last for page in pages]
    assert [("POST", "acme"), ("GET", "acme")] == [(method, sent["x-magda-enduser-id"]) for method, sent in asked]
    assert [None, "Bearer the-token"] == [sent.get("authorization") for _, sent in asked]


def test_without_its_certificate_a_token_endpoint_that_asks_for_one_gives_no_token(
    secure: Start, means: Means, files: Path
) -> None:
    url = secure(mutual=True)
    written = {
        "provider": "govapp",
        "base_url": url,
        "auth": {"kind": "oauth2", "token_url": f"{url}/token", "client_id": "us", "client_secret": "the-secret"},
        "ca": str(files / "ca.pem"),
    }
    provider, client = build(PROVIDERS["govapp"].options.model_validate(written), means)

    with pytest.raises(Unavailable, match="The token endpoint"):
        list(provider.pages(Window()))

    client.close()
