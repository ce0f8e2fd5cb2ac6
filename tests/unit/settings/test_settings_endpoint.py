import base64
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from worker.notification import Status
from worker.settings import EndpointSettings, Rate, parse_duration

SCHEDULE = tuple(map(parse_duration, ("5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")))


def test_an_endpoint_has_the_defaults_of_the_interface(desk: Any, erp: Callable[[str], str]) -> None:
    assert desk.read(erp("")).endpoints["erp"].model_dump() == {
        "timeout": timedelta(seconds=15),
        "connect_timeout": timedelta(seconds=5),
        "retry_schedule": SCHEDULE,
        "disable_after": timedelta(days=5),
        "url": "https://erp.example.com/",
        "secret": None,
        "sources": None,
        "types": ("notification.*",),
        "kinds": None,
        "statuses": None,
        "max_in_flight": 10,
        "rate_limit": None,
        "headers": {},
        "allow_networks": (),
        "format": "standard",
        "backlog": "all",
        "signing": "hmac",
        "ca": None,
        "client_certificate": None,
    }


def test_what_an_endpoint_does_not_say_is_filled_in_from_delivery(desk: Any, erp: Callable[[str], str]) -> None:
    text = erp('timeout = "3s"') + '[delivery]\ntimeout = "9s"\nconnect_timeout = "2s"\nretry_schedule = ["1s"]\n'
    settings = desk.read(text)
    found = settings.endpoints["erp"]
    expected = (timedelta(seconds=3), timedelta(seconds=2), (timedelta(seconds=1),), timedelta(days=5))
    assert (found.timeout, found.connect_timeout, found.retry_schedule, found.disable_after) == expected
    assert settings.delivery.timeout == timedelta(seconds=9)


def test_filters_rates_and_networks_are_values(desk: Any, erp: Callable[[str], str]) -> None:
    filters = 'types = ["*"]\nkinds = ["Transfer*"]\nstatuses = ["new"]\n'
    limits = 'rate_limit = "90/m"\nallow_networks = ["10.0.0.0/8", "::1"]'
    found = desk.read(erp(filters + limits)).endpoints["erp"]
    assert (found.types, found.kinds, found.statuses) == (("*",), ("Transfer*",), (Status.NEW,))
    assert found.rate_limit == Rate(90, timedelta(minutes=1))
    assert found.allow_networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "https://user:password@h/p?q=1", "http://[::1]:80/", "https://10.0.0.1/"]
)
def test_addresses_that_only_delivery_may_refuse_are_no_error(desk: Any, url: str) -> None:
    assert desk.read(f'[endpoints.erp]\nurl = "{url}"').endpoints["erp"].url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https:///path", "is not an http or https URL with a host; write https://host/path"),
        ("erp.example.com", "is not an http or https URL with a host; write https://host/path"),
        ("https://u:hunter2@h:0/", "is not an http or https URL with a host; write https://host/path"),
        ("https://u:hunter2@h:99999/", "is not a URL; write https://host/path"),
        ("https://u:hunter2@h/#x", "a fragment (#…) is never sent; leave it out"),
        (
            "https://u:hunter2@h/a b",
            "a URL has only printable ASCII characters and no spaces; percent-encode the others",
        ),
        ("https://u:hunter2@é/", "a URL has only printable ASCII characters and no spaces; percent-encode the others"),
    ],
)
def test_a_bad_url_is_refused_and_not_repeated(desk: Any, url: str, expected: str) -> None:
    assert desk.problems(f'[endpoints.erp]\nurl = "{url}"') == (f"endpoints.erp.url: {expected}",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('sources = ["book"]', 'sources: "book" is not a source; known: none'),
        ("sources = []", "sources: is empty; leave the key out for its default"),
        ('sources = "all"', "sources: must be a list, in square brackets"),
        ('kinds = [""]', "kinds[0]: must have this many characters at least: 1"),
        ("kinds = [5]", "kinds[0]: must be text, in quotes"),
        (
            'statuses = ["new", "open"]',
            'statuses[1]: "open" is not possible; write "new", "received", "read", "resolved", "ignored" or "expired"',
        ),
        ("max_in_flight = 0", "max_in_flight: must be at least 1"),
        ("max_in_flight = 501", "max_in_flight: must be at most 500"),
        ('rate_limit = "50"', 'rate_limit: "50" is not a rate; write "50/s", "100/m" or "1000/h"'),
        ('rate_limit = "0/s"', 'rate_limit: "0/s" is not a rate; write "50/s", "100/m" or "1000/h"'),
        ("rate_limit = 50", 'rate_limit: 50 is not a rate; write "50/s", "100/m" or "1000/h"'),
        (
            'headers = { Webhook-Id = "1" }',
            "headers.Webhook-Id: this header is set for every message and can't be set here",
        ),
        (
            'headers = { content-type = "a" }',
            "headers.content-type: this header is set for every message and can't be set here",
        ),
        ('headers = { host = "a" }', "headers.host: this header is set for every message and can't be set here"),
        ('allow_networks = ["ten"]', 'allow_networks[0]: "ten" is not a network; write 10.0.0.0/8 or fd00::/8'),
        ("allow_networks = [10]", "allow_networks[0]: 10 is not a network; write 10.0.0.0/8 or fd00::/8"),
        (
            'allow_networks = ["10.1.0.0/8"]',
            'allow_networks[0]: "10.1.0.0/8" has more than the network in it; write 10.0.0.0/8',
        ),
        ('format = "xml"', 'format: "xml" is not possible; write "standard" or "cloudevents"'),
        ('timeout = "50ms"', 'timeout: "50ms" is out of bounds; write 100ms to 3m'),
        ('connect_timeout = "11m"', 'connect_timeout: "11m" is out of bounds; write 100ms to 3m'),
        ('retry_schedule = ["5s", "x"]', 'retry_schedule[1]: "x" is not a duration; write 30s, 5m, 2h or 7d'),
        ('disable_after = "0s"', 'disable_after: "0s" is out of bounds; write 1s to 365d'),
    ],
)
def test_a_bad_value_of_an_endpoint_is_one_line_with_what_to_write(
    desk: Any, erp: Callable[[str], str], line: str, expected: str
) -> None:
    assert desk.problems(erp(line)) == (f"endpoints.erp.{expected}",)


def test_a_pattern_that_matches_no_type_is_refused(desk: Any, erp: Callable[[str], str]) -> None:
    (found,) = desk.problems(erp('types = ["notification.*", "notifications.*"]'))
    assert found.startswith(
        'endpoints.erp.types[1]: "notifications.*" matches no type of message; write endpoint.disabled,'
    )


def test_unknown_sources_are_named_with_the_known_ones(
    desk: Any, erp: Callable[[str], str], registrar: Callable[[str], str]
) -> None:
    found = desk.problems(registrar("") + erp('sources = ["book", "registrar", "gov"]'))
    assert found == ('endpoints.erp.sources: "book", "gov" are not sources; known: registrar',)


@pytest.mark.parametrize("length", [24, 64])
def test_a_webhook_secret_has_24_to_64_bytes(desk: Any, erp: Callable[[str], str], length: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(length)).decode()
    found = desk.read(erp('secret = { env = "S" }'), {"S": secret}).endpoints["erp"].secret
    assert found.get_secret_value() == secret


@pytest.mark.parametrize(
    "secret",
    [
        "hunter2hunter2",
        "whsec_hunter2hunter2",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsec_é",
    ],
)
def test_another_webhook_secret_is_refused_and_not_repeated(desk: Any, erp: Callable[[str], str], secret: str) -> None:
    expected = "is not a webhook secret: whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made"
    found = desk.problems(erp('secret = { env = "S" }'), {"S": secret})
    assert found == (f"endpoints.erp.secret: {expected}",)


def test_an_endpoint_made_in_code_takes_values_as_they_are() -> None:
    rate, network = Rate(5, timedelta(seconds=1)), ip_network("10.0.0.0/8")
    found = EndpointSettings(url="https://h/", rate_limit=rate, allow_networks=(network,), sources=("any",))
    assert (found.rate_limit, found.allow_networks, found.sources) == (rate, (network,), ("any",))
