from typing import Any

import pytest

from worker.settings import Listening


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464),
        ("0.0.0.0:1", "0.0.0.0", 1),  # noqa: S104  # a container's
        ("localhost:65535", "localhost", 65535),
        ("metrics.example.com:9464", "metrics.example.com", 9464),
        ("[::1]:9464", "::1", 9464),
        ("[0:0:0:0:0:0:0:1]:9464", "::1", 9464),
    ],
)
def test_metrics_are_served_at_an_address_and_a_port(desk: Any, text: str, host: str, port: int) -> None:
    assert desk.read(f'metrics = "{text}"').metrics == Listening(host, port)


@pytest.mark.parametrize("text", ["127.0.0.1:9464", "[::1]:9464"])
def test_an_address_reads_as_it_was_written(desk: Any, text: str) -> None:
    assert str(desk.read(f'metrics = "{text}"').metrics) == text


@pytest.mark.parametrize("text", ["", 'metrics = "off"'])
def test_metrics_are_off_unless_they_are_asked_for(desk: Any, text: str) -> None:
    assert desk.read(text).metrics is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"9464"', "is not an address and a port"),
        ('":9464"', "is not an address and a port"),
        ('"127.0.0.1"', "is not an address and a port"),
        ('"127.0.0.1:0"', "is not an address and a port"),
        ('"127.0.0.1:65536"', "is not an address and a port"),
        ('"::1:9464"', "is not an address and a port"),
        ('"http://127.0.0.1:9464"', "is not an address and a port"),
        ('"127.0.0.1:9464/metrics"', "is not an address and a port"),
        ('"[127.0.0.1]:9464"', "has no IPv6 address in its brackets"),
        ('"[]:9464"', "has no IPv6 address in its brackets"),
        ("9464", "must be text, in quotes"),
        ("{ port = 9464 }", "must be text, in quotes"),
    ],
)
def test_what_is_no_address_is_refused(desk: Any, value: str, expected: str) -> None:
    assert desk.problems(f"metrics = {value}") == (f"metrics: {expected}; write 127.0.0.1:9464 or [::1]:9464",)


def test_the_environment_gives_each_worker_of_a_machine_its_own_address(desk: Any) -> None:
    text = 'metrics = "127.0.0.1:9464"'
    assert desk.read(text, {"TOCSIN_METRICS": "127.0.0.1:9465"}).metrics == Listening("127.0.0.1", 9465)
    assert desk.read(text, {"TOCSIN_METRICS": "off"}).metrics is None


def test_a_bad_variable_is_named(desk: Any) -> None:
    assert desk.problems("", {"TOCSIN_METRICS": "x"})[0].startswith("TOCSIN_METRICS: is not an address and a port")
