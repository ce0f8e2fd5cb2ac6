import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.webhooks.receivers import Receiver, Script

_PEM = serialization.Encoding.PEM
_PRIVATE = (_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """Starts receivers; they end with the test."""
    with ExitStack() as stack:

        def start(script: Script, **more: Any) -> Receiver:
            return stack.enter_context(Receiver(script, **more))

        yield start


@dataclass
class Authority:
    """A certificate authority of our own; `file` is what a client trusts."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def issue(self, *names: str, lasts: timedelta = timedelta(days=1)) -> tuple[Path, Path]:
        """A certificate and its key, for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + lasts
        alternatives = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - timedelta(days=10))
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        folder = self.file.parent / f"{certificate.serial_number}"
        folder.mkdir()
        (folder / "certificate.pem").write_bytes(certificate.public_bytes(_PEM))
        (folder / "key.pem").write_bytes(key.private_bytes(*_PRIVATE))
        return folder / "certificate.pem", folder / "key.pem"

    def server(self, *names: str, lasts: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names, lasts=lasts))
        return context


def make_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority for tests")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(_PEM))
    return Authority(folder / "ca.pem", key, name)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody was told to trust."""
    return make_authority(tmp_path_factory.mktemp("stranger"))
