import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.settings import Secret, SourceSettings

PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
HOW = 'write { env = "NAME" } or { file = "path" }'


def source(api_key: str) -> str:
    return f'[sources.registrar]\nprovider = "realtime_register"\ncustomer = "acme"\napi_key = {api_key}\n'


def api_key(desk: Any, written: str, environ: dict[str, str]) -> str:
    text: str = desk.read(source(written), environ).sources["registrar"].api_key.get_secret_value()
    return text


def test_a_secret_is_read_from_the_environment(desk: Any) -> None:
    assert api_key(desk, '{ env = "K" }', {"K": "hunter2"}) == "hunter2"


@pytest.mark.parametrize("content", ["hunter2", "hunter2\n", "hunter2\r\n"])
def test_a_secret_is_read_from_a_file_without_its_last_line_break(desk: Any, content: str) -> None:
    desk.file("api.key", content)
    assert api_key(desk, '{ file = "api.key" }', {}) == "hunter2"


def test_a_secret_file_may_be_named_from_the_root(desk: Any) -> None:
    assert api_key(desk, f'{{ file = "{desk.file("api.key", "hunter2")}" }}', {}) == "hunter2"


def test_a_key_in_pem_keeps_its_lines(desk: Any) -> None:
    desk.file("key.pem", PEM + "\n")
    assert api_key(desk, '{ file = "key.pem" }', {}) == PEM


def test_plain_text_works_and_is_warned_about_once(desk: Any) -> None:
    found = desk.read(source('"hunter2"'))
    assert found.sources["registrar"].api_key.get_secret_value() == "hunter2"
    expected = f"the secret stands in the file as plain text; better {HOW.removeprefix('write ')}"
    assert found.warnings == (f"sources.registrar.api_key: {expected}",)


def test_a_plain_secret_deep_in_a_table_is_warned_about_with_its_path(desk: Any) -> None:
    auth = 'auth = { kind = "basic", username = "acme", password = "hunter2" }'
    found = desk.read(f'[sources.gov]\nprovider = "govapp"\nbase_url = "https://h/"\n{auth}')
    assert [warning.split(":")[0] for warning in found.warnings] == ["sources.gov.auth.password"]


def test_a_header_may_be_plain_text_or_a_secret_and_is_not_warned_about(
    desk: Any, registrar: Callable[[str], str]
) -> None:
    environ = {"RTR_API_KEY": "k", "H": "hunter2"}
    found = desk.read(registrar('headers = { X-Team = "erp", X-Key = { env = "H" } }'), environ)
    headers = found.sources["registrar"].headers
    assert {name: value.get_secret_value() for name, value in headers.items()} == {"X-Team": "erp", "X-Key": "hunter2"}
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{ env = "RTR_API_KEY" }', "environment variable RTR_API_KEY is not set"),
        ('{ env = "hunter2" }', "environment variable of that name is not set"),
        ('{ env = "EMPTY" }', "environment variable EMPTY is empty"),
        ('{ file = "nowhere" }', 'file "nowhere" cannot be read: No such file or directory'),
        ('{ file = "." }', 'file "." cannot be read: Is a directory'),
        ('{ file = "a\\u0000b" }', 'file "a\\u0000b" cannot be read: no path'),
        ('{ file = "empty" }', 'file "empty" is empty'),
        ('{ file = "binary" }', 'file "binary" is not text in UTF-8'),
        ('""', f"is empty; {HOW}"),
        ("5", f"is not a secret; {HOW}"),
        ("{}", f"is not a secret; {HOW}"),
        ('{ evn = "hunter2" }', f"is not a secret; {HOW}"),
        ('{ env = "RTR_API_KEY", file = "x" }', f"is not a secret; {HOW}"),
        ('["hunter2"]', f"is not a secret; {HOW}"),
        ('"hun\\nter2"', "the secret holds line breaks or other control characters"),
    ],
)
def test_a_secret_that_cannot_be_read_is_one_line(desk: Any, written: str, expected: str) -> None:
    desk.file("empty", " \n")
    (desk.folder / "binary").write_bytes(b"\xff\xfe")
    assert desk.problems(source(written), {"EMPTY": ""}) == (f"sources.registrar.api_key: {expected}",)


def test_a_secret_is_masked_wherever_it_is_shown() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"


def test_a_model_made_in_code_takes_text_and_secrets_and_shows_neither() -> None:
    found = SourceSettings.model_validate({"provider": "x", "headers": {"X-A": "hunter2", "X-B": Secret("hunter2")}})
    assert [value.get_secret_value() for value in found.headers.values()] == ["hunter2", "hunter2"]
    assert "hunter2" not in repr(found) + str(found) + found.model_dump_json()


TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=24).map("hunter2".__add__)
WRITTEN = st.sampled_from(
    [
        "{secret}",
        '{{ env = "S" }}',
        '{{ file = "s" }}',
        "{{ env = {secret} }}",
        "{{ value = {secret} }}",
        "{{ env = {secret}, file = {secret} }}",
        "[{secret}]",
        "[[{secret}]]",
    ]
)
RTR = '[sources.s]\nprovider = "realtime_register"\ncustomer = "acme"\n'
GOVAPP = '[sources.s]\nprovider = "govapp"\nbase_url = "h"\n'
FIELDS = st.sampled_from(
    [
        "database = {plain}",
        'database = "postgresql+psycopg://u:{text}@h/n"',
        'database = "postgresql://u:{text}@h/n"',
        'database = "postgresql+psycopg://u:{text}@h:port/n"',
        'broker = "redis://u:{text}@h/0"',
        'broker = "redis://u:{text}@h/zero"',
        'broker = "amqp://u:{text}@h/0"',
        "key = {written}",
        RTR + "api_key = {written}",
        RTR + 'api_key = "k"\napikey = {plain}',
        RTR + 'api_key = "k"\nheaders = {{ X-A = {written} }}',
        RTR + 'api_key = "k"\nheaders = {written}',
        RTR + 'api_key = "k"\nbase_url = "ftp://{text}@h"',
        RTR + 'api_key = "k"\nbase_url = "http://u:{text}@h"',
        '[sources.s]\nprovider = "bookkeep"\npublishable_key = {written}\nsecret_key = {written}',
        GOVAPP + 'auth = {{ kind = "oauth2", private_key = {written} }}',
        GOVAPP + 'auth = {{ kind = "basic", username = "u", password = {written} }}',
        GOVAPP + "auth = {written}",
        '[endpoints.e]\nurl = "https://u:{text}@h/?{text}"',
        '[endpoints.e]\nurl = "https://u:{text}@h:x/?{text}"',
        '[endpoints.e]\nurl = "https://h/"\nsecret = {written}',
        '[endpoints.e]\nurl = "https://h/"\nheaders = {{ X-A = {written} }}',
    ]
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FIELDS, WRITTEN, TOKENS, st.sampled_from(["", "\n", "\x00", "é"]))
def test_no_secret_in_any_field_is_ever_repeated(desk: Any, field: str, written: str, text: str, tail: str) -> None:
    plain = json.dumps(text + tail)
    desk.file("s", text + tail)
    shown = desk.shown(field.format(written=written.format(secret=plain), plain=plain, text=text), {"S": text + tail})
    assert "hunter2" not in shown
