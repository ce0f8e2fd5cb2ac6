from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.settings import Rate, SourceSettings


def test_a_source_has_the_defaults_of_the_interface(desk: Any, registrar: Callable[[str], str]) -> None:
    source = desk.read(registrar("")).sources["registrar"]
    found = source.model_dump(exclude={"api_key", "customer", "provider"})
    assert found == {
        "base_url": None,
        "cron": None,
        "every": timedelta(seconds=60),
        "timezone": "UTC",
        "start_at": "now",
        "acknowledge": "never",
        "track_for": timedelta(days=30),
        "overlap": timedelta(minutes=10),
        "headers": {},
        "client_certificate": None,
        "ca": None,
        "page_size": None,
        "budget": None,
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("3/s", Rate(3, timedelta(seconds=1))),
        ("60/m", Rate(60, timedelta(minutes=1))),
        ("5000/h", Rate(5000, timedelta(hours=1))),
    ],
)
def test_a_budget_is_so_many_requests_in_so_long(
    desk: Any, registrar: Callable[[str], str], written: str, expected: Rate
) -> None:
    assert expected == desk.read(registrar(f'budget = "{written}"')).sources["registrar"].budget


def test_a_budget_that_is_no_rate_is_a_problem(desk: Any, registrar: Callable[[str], str]) -> None:
    problems = desk.problems(registrar('budget = "often"'))
    assert problems == ('sources.registrar.budget: "often" is not a rate; write "50/s", "100/m" or "1000/h"',)


def test_a_source_with_a_cron_expression_has_no_interval(desk: Any, registrar: Callable[[str], str]) -> None:
    lines = 'cron = "*/5 8-18 * * mon-fri"\ntimezone = "Europe/Amsterdam"'
    source = desk.read(registrar(lines)).sources["registrar"]
    assert (source.cron, source.every, source.timezone) == ("*/5 8-18 * * mon-fri", None, "Europe/Amsterdam")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"now"', "now"),
        ('"beginning"', "beginning"),
        ('"2026-01-31T13:00:00+01:00"', datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_start_is_a_word_or_an_instant_in_utc(
    desk: Any, registrar: Callable[[str], str], written: str, expected: object
) -> None:
    assert desk.read(registrar(f"start_at = {written}")).sources["registrar"].start_at == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('every = "1 fortnight"', 'every: "1 fortnight" is not a duration; write 30s, 5m, 2h or 7d'),
        ("every = 60", "every: 60 is not a duration; write 30s, 5m, 2h or 7d"),
        ("every = { m = 1 }", "every: a table is not a duration; write 30s, 5m, 2h or 7d"),
        ('every = ["1m"]', "every: a list is not a duration; write 30s, 5m, 2h or 7d"),
        ('every = "999ms"', 'every: "999ms" is out of bounds; write 1s to 30d'),
        ('every = "31d"', 'every: "31d" is out of bounds; write 1s to 30d'),
        ('every = "1m"\ncron = "* * * * *"', "every: write every or cron, not both"),
        ('cron = "61 * * * *"', 'cron: "61 * * * *" is not a cron expression; write "*/5 8-18 * * mon-fri"'),
        ('cron = "0 0 30 2 *"', 'cron: "0 0 30 2 *" is not a cron expression; write "*/5 8-18 * * mon-fri"'),
        (
            'timezone = "Europe/Amsterdm"',
            'timezone: "Europe/Amsterdm" is not a time zone; did you mean "Europe/Amsterdam"?',
        ),
        ('timezone = "42"', 'timezone: "42" is not a time zone; write "Europe/Amsterdam" or "UTC"'),
        ('timezone = "../UTC"', 'timezone: "../UTC" is not a time zone; did you mean "UTC"?'),
        ('start_at = "soon"', 'start_at: "soon" is no time; write "now", "beginning" or 2026-01-31T12:00:00Z'),
        ("start_at = 5", 'start_at: 5 is no time; write "now", "beginning" or 2026-01-31T12:00:00Z'),
        ("start_at = 2026-01-31", "start_at: 2026-01-31 has no time and no zone; write 2026-01-31T00:00:00Z"),
        (
            "start_at = 2026-01-31T12:00:00",
            'start_at: "2026-01-31 12:00:00" has no zone; write "2026-01-31T12:00:00Z" if it is UTC',
        ),
        ('start_at = "0001-01-01T00:00:00+01:00"', 'start_at: "0001-01-01 00:00:00+01:00" is out of bounds'),
        ('acknowledge = "soon"', 'acknowledge: "soon" is not possible; write "never", "stored" or "delivered"'),
        ('track_for = "0s"', 'track_for: "0s" is out of bounds; write 1s to 3650d'),
        ('overlap = "-1m"', 'overlap: "-1m" is not a duration; write 30s, 5m, 2h or 7d'),
        ("page_size = 0", "page_size: must be at least 1"),
        ("page_size = 10001", "page_size: must be at most 10000"),
        ("page_size = true", "page_size: must be a whole number"),
        ('page_size = "5"', "page_size: must be a whole number"),
        (
            'base_url = "ftp://u:hunter2@h/"',
            "base_url: is not an http or https URL with a host; write https://host/path",
        ),
        ('base_url = "https://[u:hunter2"', "base_url: is not a URL; write https://host/path"),
        ('ca = "nowhere.pem"', 'ca: there is no file "nowhere.pem"'),
        ("ca = 5", "ca: must be the path of a file, in quotes"),
        ('client_certificate = { key = "k.pem" }', "client_certificate.certificate: this key is needed"),
        ("headers = 5", "headers: must be a table"),
        ("headers = { Host = 'h' }", "headers.Host: this header follows from the request and can't be set"),
        ("headers = { 'a b' = 'c' }", 'headers."a b": is not a header\'s name'),
        (
            "headers = { X-A = '1', x-a = '2' }",
            'headers: "x-a" stands here twice; upper and lower case make no difference',
        ),
    ],
)
def test_a_bad_value_of_a_source_is_one_line_with_what_to_write(
    desk: Any, registrar: Callable[[str], str], line: str, expected: str
) -> None:
    found = [each for each in desk.problems(registrar(line)) if "client_certificate.key" not in each]
    assert found == [f"sources.registrar.{expected}"]


@given(st.text(max_size=20) | st.text("0123456789*/,-L#W ", min_size=9, max_size=20))
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    with suppress(ValidationError):
        assert SourceSettings(provider="x", cron=text).cron == text


@given(st.text(max_size=20))
def test_any_text_is_a_time_zone_or_refused(text: str) -> None:
    with suppress(ValidationError):
        assert SourceSettings(provider="x", timezone=text).timezone == text


def test_paths_are_relative_to_the_configurations_folder(desk: Any, registrar: Callable[[str], str]) -> None:
    paths = [*desk.papers("c.pem", "k.pem"), desk.papers("ca.pem", "ca.key")[0]]
    lines = 'client_certificate = { certificate = "c.pem", key = "k.pem" }\nca = "ca.pem"'
    source = desk.read(registrar(lines)).sources["registrar"]
    assert [source.client_certificate.certificate, source.client_certificate.key, source.ca] == paths


def test_a_source_is_frozen(desk: Any, registrar: Callable[[str], str]) -> None:
    with pytest.raises(ValidationError):
        desk.read(registrar("")).sources["registrar"].overlap = timedelta()
