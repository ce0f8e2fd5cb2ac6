from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.notification import Status
from worker.settings import load

KEYS = [Fernet.generate_key().decode() for _ in range(2)]
NO_KEY = "is not a Fernet key; `tocsin init` makes one"


def refused(path: Path | None, environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ, {}, ())
    return caught.value.problems


def test_the_interfaces_example_is_a_configuration(desk: Any) -> None:
    desk.file("key.pem")
    desk.papers("c.pem", "k.pem")
    example = Path(__file__).with_name("interface_example.toml").read_text(encoding="utf-8")
    found = desk.read(example.replace("…", "x"))
    assert list(found.sources) == ["registrar", "books", "govapp"]
    assert found.sources["books"].every == timedelta(minutes=5)
    assert found.sources["govapp"].auth.private_key.get_secret_value() == "x"
    assert found.endpoints["erp"].statuses == (Status.NEW, Status.RESOLVED)
    assert found.retention.notifications == timedelta(days=400)
    assert found.warnings == ()


def test_an_empty_file_is_a_configuration(desk: Any) -> None:
    found = desk.read("")
    assert found.database == f"sqlite:///{desk.folder}/tocsin.db"
    assert (found.broker, found.key, found.sources, found.endpoints) == ("memory://", (), {}, {})
    assert (found.retention.notifications, found.retention.attempts) == (timedelta(days=400), timedelta(days=90))
    assert (found.path, found.warnings) == (desk.folder / "tocsin.toml", ())


def test_every_problem_is_told_at_once(desk: Any) -> None:
    text = """
        databse = "sqlite:///x.db"
        broker = 6379
        [sources.registrar]
        provider = "realtime_register"
        customer = "a"
        api_key = { env = "NOT_SET" }
        every = "1 fortnight"
        evry = "1m"
        [sources.x]
        provider = "rtr"
        overlap = 5
        [endpoints.erp]
        sources = ["book"]
        types = ["created"]
        [retention]
        attempts = "long"
    """
    assert desk.problems(text, {})[:-3] == (
        'databse: unknown key; did you mean "database"?',
        "broker: must be text, in quotes",
        'sources.registrar.every: "1 fortnight" is not a duration; write 30s, 5m, 2h or 7d',
        "sources.registrar.customer: must have this many characters at least: 3",
        "sources.registrar.api_key: environment variable NOT_SET is not set",
        'sources.registrar.evry: unknown key; did you mean "every"?',
        'sources.x.provider: "rtr" is not a provider; known: bookkeep, govapp, mastodon, realtime_register',
        "sources.x.overlap: 5 is not a duration; write 30s, 5m, 2h or 7d",
        "endpoints.erp.url: this key is needed",
    )
    assert [line.split(" ")[0] for line in desk.problems(text, {})[-3:]] == [
        "endpoints.erp.sources:",
        "endpoints.erp.types[0]:",
        "retention.attempts:",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sources = 3", "sources: must be tables: [sources.NAME]"),
        ("endpoints = []", "endpoints: must be tables: [endpoints.NAME]"),
        ("sources.x = 3", "sources.x: must be a table: [sources.x]"),
        ("[[endpoints.x]]", "endpoints.x: must be a table: [endpoints.x]"),
        ("[sources.x]", "sources.x.provider: this key is needed"),
        ("[sources.x]\nprovider = 3", "sources.x.provider: must be text, in quotes"),
        ("delivery = 3", "delivery: must be a table"),
        ("[delivery]\nretry_schedule = 3", "delivery.retry_schedule: must be a list, in square brackets"),
        ("retention = 'x'", "retention: must be a table"),
        ("zzz = 1", "zzz: unknown key"),
        ('"a\\nb" = 1', '"a\\nb": unknown key'),
        ("key = 3", 'key: is not a secret; write { env = "NAME" } or { file = "path" }'),
        ("key = 'hunter2'", f"key: {NO_KEY}"),
        ("key = ','", f"key: {NO_KEY}"),
        ("database = 3", "database: must be text, in quotes"),
    ],
)
def test_what_has_the_wrong_shape_is_one_line(desk: Any, text: str, expected: str) -> None:
    assert desk.problems(text) == (expected,)


def test_a_delivery_schedule_has_a_bound(desk: Any) -> None:
    schedule = '["1s"' + ', "1s"' * 100 + "]"
    found = desk.problems(f"[delivery]\nretry_schedule = {schedule}")
    assert found == ("delivery.retry_schedule: has more entries than 100",)


@pytest.mark.parametrize("name", ["a b", "é", "", "x" * 65])
@pytest.mark.parametrize("table", ["sources", "endpoints"])
def test_a_name_has_letters_digits_hyphens_and_underscores(desk: Any, table: str, name: str) -> None:
    found = [line for line in desk.problems(f'[{table}."{name}"]') if line.endswith("digits, - and _")]
    shown = name if name.isascii() and name.isalnum() else f'"{name}"'
    assert found == [f"{table}.{shown}: a name has 1 to 64 letters, digits, - and _"]


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("{}", "auth.kind: this key is needed"),
        ('{ kind = "none" }', 'auth.kind: "none" is not possible; write "oauth2" or "basic"'),
        ("3", "auth: must be a table"),
        ('{ kind = "basic", username = "u" }', "auth.password: this key is needed"),
        (
            '{ kind = "basic", username = "u", password = "p", pasword = 1 }',
            'auth.pasword: unknown key; did you mean "password"?',
        ),
    ],
)
def test_a_problem_in_a_choice_of_tables_has_the_files_own_path(desk: Any, auth: str, expected: str) -> None:
    text = f'[sources.gov]\nprovider = "govapp"\nbase_url = "https://h/"\nauth = {auth}'
    assert desk.problems(text) == (f"sources.gov.{expected}",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ratio = 'x'", "ratio: must be a number"),
        ("strict = 'x'", "strict: must be true or false"),
        ("zzz = { a = 1 }", "zzz: unknown key"),
    ],
)
def test_the_keys_of_a_provider_are_checked_the_same(desk: Any, line: str, expected: str) -> None:
    auth = 'auth = { kind = "basic", username = "u", password = { env = "RTR_API_KEY" } }'
    found = desk.problems(f'[sources.gov]\nprovider = "govapp"\nbase_url = "https://h/"\n{auth}\n{line}')
    assert found == (f"sources.gov.{expected}",)


def test_a_pattern_of_a_provider_is_shown(desk: Any, registrar: Callable[[str], str]) -> None:
    found = desk.problems(registrar("").replace('"acme"', '"ACME"'))
    assert found == ("sources.registrar.customer: does not have the form ^[a-z]+$",)


def test_the_environment_overrides_the_files_addresses(desk: Any) -> None:
    environ = {"TOCSIN_DATABASE": "sqlite:////var/x.db", "TOCSIN_BROKER": "redis://h/0", "TOCSIN_KEY": KEYS[0]}
    found = desk.read('database = "sqlite:///a.db"\nbroker = "memory://"\nkey = { env = "NOT_SET" }', environ)
    assert (found.database, found.broker) == ("sqlite:////var/x.db", "redis://h/0")
    assert [key.get_secret_value() for key in found.key] == [KEYS[0]]


def test_an_empty_variable_overrides_nothing(desk: Any) -> None:
    found = desk.read('broker = "redis://h/1"', {"TOCSIN_BROKER": "", "TOCSIN_DATABASE": "", "TOCSIN_KEY": ""})
    assert (found.broker, found.key) == ("redis://h/1", ())


def test_a_database_of_the_environment_is_relative_to_the_working_directory(desk: Any) -> None:
    assert desk.read("", {"TOCSIN_DATABASE": "sqlite:///x.db"}).database == f"sqlite:///{Path.cwd()}/x.db"


def test_a_bad_variable_is_named_in_place_of_the_files_key(desk: Any) -> None:
    environ = {"TOCSIN_DATABASE": "mysql://u:hunter2@h", "TOCSIN_BROKER": "amqp://u:hunter2@h", "TOCSIN_KEY": "hunter2"}
    found = desk.problems("", environ)
    assert [line.split(":")[0] for line in found] == ["TOCSIN_DATABASE", "TOCSIN_BROKER", "TOCSIN_KEY"]
    assert "hunter2" not in "".join(found)


def test_several_keys_are_kept_in_their_order(desk: Any) -> None:
    desk.file("tocsin.key", "\n".join(KEYS) + "\n")
    from_file = desk.read('key = { file = "tocsin.key" }').key
    from_variable = desk.read("", {"TOCSIN_KEY": ",".join(KEYS)}).key
    assert [key.get_secret_value() for key in from_file] == [key.get_secret_value() for key in from_variable] == KEYS


def test_keys_in_the_file_as_plain_text_are_warned_about_once(desk: Any) -> None:
    found = desk.read(f'key = "{KEYS[0]},{KEYS[1]}"').warnings
    assert [warning.split(":")[0] for warning in found] == ["key"]


def test_postgresql_needs_a_key(desk: Any) -> None:
    text = 'database = "postgresql+psycopg://u:hunter2@h/n"'
    expected = 'key: PostgreSQL needs one; set TOCSIN_KEY, or write key = { file = "tocsin.key" }'
    assert desk.problems(text) == (expected,)
    assert desk.read(text, {"TOCSIN_KEY": KEYS[0]}).database == "postgresql+psycopg://u:hunter2@h/n"


def test_the_file_may_be_named_by_a_variable_and_the_command_line_goes_first(desk: Any) -> None:
    other = desk.file("other.toml", 'broker = "redis://other/0"')
    named = desk.file("named.toml", 'broker = "redis://named/0"')
    assert load(None, {"TOCSIN_CONFIG": str(other)}, {}, ()).broker == "redis://other/0"
    assert load(named, {"TOCSIN_CONFIG": str(other)}, {}, ()).broker == "redis://named/0"


def test_without_a_name_the_file_is_that_of_the_working_directory(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.file("tocsin.toml", 'broker = "redis://here/0"')
    monkeypatch.chdir(desk.folder)
    found = load(None, {}, {}, ())
    assert (found.broker, found.path) == ("redis://here/0", desk.folder / "tocsin.toml")


def test_without_a_file_the_way_out_is_named(desk: Any) -> None:
    path = desk.folder / "tocsin.toml"
    assert refused(path, {}) == (f"{path}: there is no such file; `tocsin init` writes one",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a = 1\nb = = 2\n", ", line 2, column 5: Invalid value"),
        (b"a = 'x", ', at its end: Expected "\'"'),
        (b"a = '\xff'", ": is not text in UTF-8 (byte 5)"),
        (b"a = " + b"9" * 5000, ": is not TOML: "),
        (b"a = " + b"[" * 5000, ": is nested too deeply"),
    ],
)
def test_a_file_that_is_not_toml_is_one_line_with_the_place(desk: Any, content: bytes, expected: str) -> None:
    path = desk.folder / "tocsin.toml"
    path.write_bytes(content)
    (found,) = refused(path, {})
    assert found.startswith(f"{path}{expected}")
    assert "\n" not in found


def test_a_file_that_cannot_be_read_is_one_line(desk: Any) -> None:
    assert refused(desk.folder, {}) == (f"{desk.folder}: cannot be read: Is a directory",)


def test_a_long_value_is_cut_in_its_problem(desk: Any, registrar: Callable[[str], str]) -> None:
    (found,) = desk.problems(registrar(f'every = "{"9" * 500}"'))
    assert found.startswith('sources.registrar.every: "9999')
    assert len(found) < 150
