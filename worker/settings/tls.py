"""Files that TLS needs, tried when the configuration is read: what a connection would stumble over is said at once."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from worker.settings.fields import ExistingFile, Section
from worker.settings.wording import one_line, quoted


def _authority(file: Path) -> Path:
    _read(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise ValueError(f"{quoted(file.name)} holds no certificates in PEM (-----BEGIN CERTIFICATE-----)") from None
    return file


def _certificate(file: Path) -> Path:
    if b"-----BEGIN CERTIFICATE-----" not in _read(file):
        raise ValueError(f"{quoted(file.name)} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    return file


def _key_of(file: Path | None, info: ValidationInfo) -> Path | None:
    """The key, or the certificate's own file, holds the certificate's key, and needs no password."""
    certificate: Path | None = info.data.get("certificate")
    if certificate is None:  # there is something else to be said first
        return file
    if b"PRIVATE KEY-----" not in _read(file or certificate):
        mend = "" if file else '; name the file that does: key = "path"'
        raise ValueError(f"{quoted((file or certificate).name)} holds no private key in PEM{mend}")
    asked: list[bool] = []
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, file, lambda: _no_password(asked))
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(_why(error, certificate, file or certificate, encrypted=bool(asked))) from None
    return file


def _no_password(asked: list[bool]) -> str:
    asked.append(True)
    return ""


def _why(error: Exception, certificate: Path, key: Path, *, encrypted: bool) -> str:
    if encrypted:
        return f"the key in {quoted(key.name)} is encrypted; take its password away"
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"the key in {quoted(key.name)} does not belong to the certificate in {quoted(certificate.name)}"
    return f"TLS can't use the certificate in {quoted(certificate.name)} with the key in {quoted(key.name)}"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{quoted(file.name)} cannot be read: {one_line(error.strerror or 'no reason')}") from None


AuthorityFile = Annotated[ExistingFile, AfterValidator(_authority)]
"""Certificates of authorities to trust instead of the usual, in PEM."""


class ClientCertificate(Section):
    """What mutual TLS shows: PEM files; without `key`, the certificate's file holds the key too."""

    certificate: Annotated[ExistingFile, AfterValidator(_certificate)]
    key: Annotated[ExistingFile | None, AfterValidator(_key_of), Field(validate_default=True)] = None
