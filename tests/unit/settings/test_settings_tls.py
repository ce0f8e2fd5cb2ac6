"""Files for TLS are tried before anything starts, for sources and endpoints alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.papers import papers

BOTH = 'client_certificate = { certificate = "c.pem", key = "k.pem" }'
ONE = 'client_certificate = { certificate = "c.pem" }'


@pytest.fixture(params=["endpoints.erp", "sources.registrar"])
def of(request: pytest.FixtureRequest, erp: Callable[[str], str], registrar: Callable[[str], str]) -> Any:
    """A configuration with these lines in an endpoint, or in a source; and the key path of it."""
    made = erp if request.param == "endpoints.erp" else registrar
    return made, request.param


def problem(desk: Any, of: Any, lines: str) -> str:
    written, path = of
    (found,) = desk.problems(written(lines))
    assert found.startswith(f"{path}.")
    return str(found).removeprefix(f"{path}.")


def test_good_files_are_no_problem(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "k.pem")
    desk.file("ca.pem", papers()[0] + papers("another.example")[0])
    assert desk.read(of[0](f'{BOTH}\nca = "ca.pem"')).warnings == ()


def test_one_file_may_hold_certificate_and_key(desk: Any, of: Any) -> None:
    desk.file("c.pem", "".join(papers()))
    assert desk.read(of[0](ONE)).warnings == ()


@pytest.mark.parametrize("text", ["", "no certificate", papers()[1], papers()[0].replace("A", "!")])
def test_an_authority_that_is_none_is_named(desk: Any, of: Any, text: str) -> None:
    desk.file("ca.pem", text)
    expected = 'ca: "ca.pem" holds no certificates in PEM (-----BEGIN CERTIFICATE-----)'
    assert problem(desk, of, 'ca = "ca.pem"') == expected


@pytest.mark.parametrize("text", ["", "no certificate", papers()[1]])
def test_a_certificate_that_is_none_is_named(desk: Any, of: Any, text: str) -> None:
    desk.file("c.pem", text)
    desk.file("k.pem", papers()[1])
    expected = 'client_certificate.certificate: "c.pem" holds no certificate in PEM (-----BEGIN CERTIFICATE-----)'
    assert problem(desk, of, BOTH) == expected


def test_a_key_that_is_none_is_named(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "k.pem")
    desk.file("k.pem", papers()[0])
    assert problem(desk, of, BOTH) == 'client_certificate.key: "k.pem" holds no private key in PEM'


def test_a_key_that_is_missing_is_asked_for(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "k.pem")
    expected = 'client_certificate: "c.pem" holds no private key in PEM; name the file that does: key = "path"'
    assert problem(desk, of, ONE) == expected


def test_a_key_of_another_certificate_is_named(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "other.key")
    desk.papers("other.pem", "k.pem", name="another.example")
    expected = 'client_certificate.key: the key in "k.pem" does not belong to the certificate in "c.pem"'
    assert problem(desk, of, BOTH) == expected


def test_an_encrypted_key_is_named(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "k.pem", password="hunter2")
    expected = 'client_certificate.key: the key in "k.pem" is encrypted; take its password away'
    assert problem(desk, of, BOTH) == expected


def test_a_damaged_key_is_named(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "k.pem")
    desk.file("k.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    expected = """client_certificate.key: TLS can't use the certificate in "c.pem" with the key in "k.pem\""""
    assert problem(desk, of, BOTH) == expected


@pytest.mark.parametrize("lines", ['ca = "/proc/self/mem"', 'client_certificate = { certificate = "/proc/self/mem" }'])
def test_a_file_that_cannot_be_read_is_named(desk: Any, of: Any, lines: str) -> None:
    assert Path("/proc/self/mem").is_file()
    assert '"mem" cannot be read: Input/output error' in problem(desk, of, lines)


def test_a_file_that_is_not_there_is_named(desk: Any, of: Any) -> None:
    desk.papers("c.pem", "other.key")
    assert problem(desk, of, BOTH) == 'client_certificate.key: there is no file "k.pem"'
