import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from worker import logs
from worker.redaction import redacted, shown_url


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError("no space left, and the line was hunter2")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for ours in [handler for handler in root.handlers if type(handler).__module__ == logs.__name__]:
        root.removeHandler(ours)
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object_a_line() -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True)
    structlog.get_logger("poll").info("poll.done", source="registrar", pages=3)
    (found,) = lines(stream)
    at = datetime.fromisoformat(found.pop("timestamp"))
    assert found == {"event": "poll.done", "level": "info", "logger": "tocsin.poll", "source": "registrar", "pages": 3}
    assert at.utcoffset() == timedelta()


def test_a_person_gets_text() -> None:
    stream = io.StringIO()
    logs.configure(stream, json=False)
    structlog.get_logger().warning("poll.failing", source="registrar")
    assert "[warning  ] poll.failing" in stream.getvalue()
    assert "source=registrar" in stream.getvalue()


def test_colours_are_for_a_terminal() -> None:
    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        logs.configure(stream, json=False)
        structlog.get_logger("poll").info("poll.done")
    assert ("\x1b[" in plain.getvalue(), "\x1b[" in terminal.getvalue()) == (False, True)


def test_a_providers_text_cannot_forge_a_line_on_a_terminal() -> None:
    stream = io.StringIO()
    logs.configure(stream, json=False)
    structlog.get_logger("poll").info("poll.done", text="a\nforged \x1b[2J\u2028\ud800", pages=3)
    (line,) = stream.getvalue().splitlines()
    assert "forged" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(("level", "expected"), [("debug", ["a", "b", "c"]), ("INFO", ["b", "c"]), ("warning", ["c"])])
def test_the_level_is_that_of_our_own_events(level: str, expected: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True, level=level)
    log = structlog.get_logger("poll")
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [line["event"] for line in lines(stream)] == expected


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_a_line_says_how_bad_it_is(level: str) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True, level="debug")
    getattr(structlog.get_logger("poll"), level)("poll.done")
    assert [line["level"] for line in lines(stream)] == [level]


@pytest.mark.parametrize("name", ["celery.worker", "kombu", "urllib3"])
def test_libraries_are_heard_from_warning_upwards(name: str) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True, level="debug")
    library = logging.getLogger(name)
    library.setLevel(logging.DEBUG)
    library.info("connected")
    library.warning("connection to %s lost", "broker")
    library.setLevel(logging.NOTSET)
    (found,) = lines(stream)
    assert (found["event"], found["level"], found["logger"]) == ("connection to broker lost", "warning", name)


def test_configured_again_it_writes_to_the_new_stream_alone() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure(first, json=True)
    log = structlog.get_logger("poll")
    log.info("a")
    logs.configure(second, json=True)
    log.info("b")
    assert [[line["event"] for line in lines(stream)] for stream in (first, second)] == [["a"], ["b"]]


def test_a_line_that_cannot_be_written_stops_nothing_and_is_printed_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()  # pytest's own would raise
    logs.configure(Full(), json=True)
    structlog.get_logger("poll").info("poll.done")
    logging.getLogger("kombu").warning("%d", "hunter2")
    assert capsys.readouterr() == ("", "")


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("hunter2")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("value", [Unspeakable(), 10**5_000, {10**5_000: 1}], ids=["unspeakable", "huge", "key"])
def test_a_value_that_cannot_be_written_stops_nothing_and_its_line_says_so(value: object, *, as_json: bool) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=as_json)
    structlog.get_logger("poll").warning("poll.done", value=value, other="hunter2")
    assert ["poll.done" in stream.getvalue(), "warning" in stream.getvalue()] == [True, True]
    assert "values that can't be written" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_event_that_is_no_text_and_cannot_be_written_stops_nothing(*, as_json: bool) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=as_json)
    structlog.get_logger("poll").error(Unspeakable())
    assert "values that can't be written" in stream.getvalue()


def test_a_value_that_is_nested_without_bounds_stops_nothing() -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True)
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"in": deep}
    structlog.get_logger("poll").info("poll.done", value=deep)
    (found,) = lines(stream)
    assert (found["event"], found["left_out"]) == ("poll.done", "values that can't be written")


@pytest.mark.parametrize(
    "values",
    [
        {"token": "hunter2"},
        {"url": "https://u:hunter2@h/p"},
        {"why": {"password": "hunter2"}},
        {"why": ["Bearer hunter2hunter2"]},
        {"why": "to\u212aen=hunter2"},
    ],
)
def test_an_event_is_written_without_its_secret(values: dict[str, object]) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True)
    structlog.get_logger("poll").info("poll.done", source="registrar", **values)
    (found,) = lines(stream)
    assert found["source"] == "registrar"
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_its_lines_and_neither_secrets_nor_local_variables(*, as_json: bool) -> None:
    stream = io.StringIO()
    logs.configure(stream, json=as_json)
    try:
        local = "hunter" + "2"
        raise ValueError(f"redis://:{local}@h:6379/0 refused\nBearer {local}{local}\x1b[2J")  # noqa: TRY301  # a traceback
    except ValueError:
        structlog.get_logger("poll").exception("poll.broke")
        logging.getLogger("celery").exception("task broke")
    assert stream.getvalue().count("ValueError: redis://h:6379/0 refused") == 2
    assert "hunter2" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_brokers_password_in_a_librarys_line_is_left_out() -> None:
    stream = io.StringIO()
    logs.configure(stream, json=True)
    logging.getLogger("celery").error("consumer: Cannot connect to %s: refused", "redis://:hunter2@h:6379/0")
    assert lines(stream)[0]["event"] == "consumer: Cannot connect to redis://h:6379/0: refused"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"api_key": "hunter2", "Authorization": "hunter2", "headers": {"X-A": "hunter2"}, "body": b"hunter2"}, "***"),
        ({"webhook_secret": ["hunter2"], "password": 2, "access_token": "hunter2", "set-cookie": "hunter2"}, "***"),
    ],
)
def test_what_has_a_secrets_name_is_masked(value: dict[str, object], expected: str) -> None:
    assert redacted(value) == dict.fromkeys(value, expected)


def test_whether_there_is_a_secret_is_none() -> None:
    assert redacted({"secret": True, "token": None}) == {"secret": True, "token": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET https://u:hunter2@h:8080/p?token=hunter2#x failed", "GET https://h:8080/p failed"),
        ("('http://u:hunter2@h/a', 1)", "('http://h/a', 1)"),
        ("['http://h/a','http://u:hunter2@h/b']", "['http://h/a','http"),
        (
            "Max retries exceeded with url: /v1/x?key=hunter2 (Caused by x)",
            "Max retries exceeded with url: /v1/x (Caused by x)",
        ),
        ("Authorization: ApiKey hunter2hunter2", "Authorization: ApiKey ***"),
        ("header bearer hunter2hunter2.x", "header bearer ***"),
        ("whsec_aHVudGVyMg== whsk_aHVudGVyMg==", "*** ***"),
        ("host=h password=hunter2 dbname=n", "host=h password=*** dbname=n"),
        ("{'client_secret': 'hunter2'}", "{'client_secret': ***"),
        ("5 of 7 in 3 s: all well", "5 of 7 in 3 s: all well"),
    ],
)
def test_what_looks_like_a_secret_in_a_text_is_left_out(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_values_are_written_plainly() -> None:
    amsterdam = timezone(timedelta(hours=1))
    value = {
        "at": datetime(2026, 1, 31, 13, tzinfo=amsterdam),
        "naive": datetime(2026, 1, 31, 13),  # noqa: DTZ001  # a library may log one
        "after": timedelta(seconds=5),
        "error": ValueError("x"),
        "content": b"abc",
        "list": [1, 2.5, None, True, ("x",)],
        "found": SecretStr("hunter2"),
        3: "three",
    }
    assert redacted(value) == {
        "at": "2026-01-31T12:00:00Z",
        "naive": "2026-01-31 13:00:00",
        "after": "0:00:05",
        "error": "x",
        "content": "<3 bytes>",
        "list": [1, 2.5, None, True, ["x"]],
        "found": "**********",
        "3": "three",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://erp.example.com/hooks/tocsin", "https://erp.example.com/hooks/tocsin"),
        ("https://user:hunter2@h:8443/p?token=hunter2#hunter2", "https://h:8443/p"),
        ("https://hunter2@h", "https://h"),
        ("https://h?token=hunter2", "https://h"),
        ("https://u:hunt@er2@h/", "https://h/"),
        ("http://[::1]:8080/@x", "http://[::1]:8080/@x"),
        ("https://u:hunter/2@h/", "***"),
        ("https://u:hunter?2@h/", "***"),
        ("https://[hunter2", "***"),
        ("u:hunter2@h", "***"),
        ("", "***"),
    ],
)
def test_a_url_is_shown_without_user_password_and_query(url: str, expected: str) -> None:
    assert shown_url(url) == expected


@given(st.text())
def test_any_text_is_a_url_to_show(text: str) -> None:
    assert isinstance(shown_url(text), str)


secrets = st.text("abcdefghijklmnopqrstuvwxyz!$%^&*+=/?#@[]\\'", max_size=12).map("hunter2".__add__)


@given(secrets, st.sampled_from(["https://u:{}@h/p", "redis://:{}@h:6379/0", "https://h/p?{}", "https://u:x{}@h/p?q"]))
def test_no_password_is_shown_whatever_signs_are_in_it(secret: str, form: str) -> None:
    assert "hunter2" not in shown_url(form.format(secret))
    assert "hunter2" not in redacted(f"refused by {form.format(secret)}: gone")
