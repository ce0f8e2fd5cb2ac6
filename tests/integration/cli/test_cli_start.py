import stat

import pytest
from cryptography.fernet import Fernet

from tests.integration.cli.desk import Desk

COMMANDS = [
    ("check",),
    ("check", "--offline"),
    ("migrate",),
    ("run",),
    ("poll", "x"),
    ("status",),
    ("notifications", "list"),
    ("notifications", "show", "1e11f60d-71c3-57eb-90bf-0d9b79cbf373"),
    ("deliveries", "list"),
    ("redeliver", "1"),
    ("endpoints", "list"),
    ("endpoints", "secret", "x"),
    ("endpoints", "test", "x"),
    ("endpoints", "enable", "x"),
    ("endpoints", "disable", "x"),
    ("sources", "list"),
    ("sources", "pause", "x"),
    ("sources", "resume", "x"),
    ("rejected", "list"),
    ("rejected", "retry"),
    ("prune",),
]
SOURCE = '[sources.a]\nprovider = "bookkeep"\npublishable_key = { env = "K" }\nsecret_key = { env = "K" }\n'
ENDPOINT = '[endpoints.e]\nurl = "https://e.example/"\n'
WRONG = """
databse = "x"
database = "mysql://u:hunter2@h/n"
broker = "amqp://u:hunter2@h"
[sources.a]
provider = "bookkeep"
publishable_key = { env = "NOT_SET" }
every = "1 fortnight"
[sources.b]
provider = "bookkep"
[sources.c]
provider = "bookkeep"
publishable_key = { env = "K" }
secret_key = { file = "nowhere" }
cron = "often"
colour = "red"
[endpoints.e]
sources = ["nobody"]
types = ["notification.gone"]
rate_limit = "fast"
[endpoints.f]
url = "https://f.example/"
format = "cloudevents"
[delivery]
timeout = "0s"
[retention]
attempts = "long"
"""
EXPECTED = [
    'databse: unknown key; did you mean "database"?',
    "database: must be sqlite:///path or postgresql+psycopg://user:password@host/name",
    "broker: must be memory://, redis://host:6379/0 or rediss://host:6379/0",
    'sources.a.every: "1 fortnight" is not a duration; write 30s, 5m, 2h or 7d',
    "sources.a.publishable_key: environment variable NOT_SET is not set",
    "sources.a.secret_key: this key is needed",
    (
        'sources.b.provider: "bookkep" is not a provider; '
        "known: bookkeep, github, govapp, mastodon, realtime_register, stripe"
    ),
    'sources.c.cron: "often" is not a cron expression; write "*/5 8-18 * * mon-fri"',
    'sources.c.secret_key: file "nowhere" cannot be read: No such file or directory',
    "sources.c.colour: unknown key",
    'delivery.timeout: "0s" is out of bounds; write 100ms to 3m',
    "endpoints.e.url: this key is needed",
    'endpoints.e.sources: "nobody" is not a source; known: a, b, c',
    'endpoints.e.rate_limit: "fast" is not a rate; write "50/s", "100/m" or "1000/h"',
    'retention.attempts: "long" is not a duration; write 30s, 5m, 2h or 7d',
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_without_a_file_every_command_names_init_and_exits_2(desk: Desk, words: tuple[str, ...]) -> None:
    said = desk.tocsin(*words)
    expected = f"{desk.folder}/tocsin.toml: there is no such file; `tocsin init` writes one\n"
    assert (said.code, said.out, said.err) == (2, "", expected)
    assert desk.files() == set()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_bad_configuration_starts_nothing_and_writes_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    desk.write(f'{SOURCE}every = "soon"')
    desk.environ["K"] = "k"
    said = desk.tocsin(*words)
    expected = 'sources.a.every: "soon" is not a duration; write 30s, 5m, 2h or 7d\n'
    assert (said.code, said.out, said.err) == (2, "", expected)
    assert desk.files() == {"tocsin.toml"}


def test_all_that_is_wrong_is_told_at_once_a_line_each_with_its_key(desk: Desk) -> None:
    desk.write(WRONG)
    desk.environ["K"] = "k"
    said = desk.tocsin("status")
    types = [line for line in said.err.splitlines() if line.startswith("endpoints.e.types[0]: ")]
    assert types[0].startswith('endpoints.e.types[0]: "notification.gone" matches no type of message; write ')
    assert sorted(said.err.splitlines()) == sorted([*EXPECTED, *types])
    assert (said.code, said.out, "hunter2" in said.err) == (2, "", False)


def test_a_file_that_is_not_toml_is_one_line_with_the_place(desk: Desk) -> None:
    path = desk.write('database = "x"\nbroker = \n')
    said = desk.tocsin("check", "--offline")
    assert (said.code, said.err) == (2, f"{path}, line 2, column 10: Invalid value\n")


def test_a_name_with_control_characters_speaks_to_no_terminal(desk: Desk) -> None:
    desk.write('"\\u001b[31mred" = 1\n')
    said = desk.tocsin("status")
    assert (said.code, "\x1b" in said.err, len(said.err.splitlines())) == (2, False, 1)


@pytest.mark.parametrize(
    "words",
    [
        ("--config", "mine.toml", "check", "--offline"),
        ("check", "--offline", "--config", "mine.toml"),
        ("check", "--config=mine.toml", "--offline"),
    ],
)
def test_the_file_may_be_named_before_and_after_the_command(desk: Desk, words: tuple[str, ...]) -> None:
    path = desk.write(SOURCE, "mine.toml")
    desk.environ["K"] = "k"
    assert desk.tocsin(*words).out == f"{path}: ok; 1 sources, 0 endpoints\n"


def test_the_file_may_be_named_by_the_environment_and_the_option_goes_first(desk: Desk) -> None:
    path, other = desk.write(SOURCE, "mine.toml"), desk.write("", "other.toml")
    desk.environ.update(K="k", TOCSIN_CONFIG="mine.toml")
    assert desk.tocsin("check", "--offline").out == f"{path}: ok; 1 sources, 0 endpoints\n"
    assert desk.tocsin("check", "--offline", "--config", "other.toml").out == f"{other}: ok; 0 sources, 0 endpoints\n"


def test_what_follows_two_dashes_is_not_ours(desk: Desk) -> None:
    desk.write("")
    said = desk.tocsin("notifications", "show", "--", "--config")
    assert (said.code, "Invalid value for 'ID'" in said.err) == (2, True)


def test_config_without_a_file_is_a_usage_error(desk: Desk) -> None:
    assert [desk.tocsin("--config").code, desk.tocsin("status", "--config").code] == [2, 2]


def test_tocsin_database_overrides_the_file(desk: Desk) -> None:
    desk.write('database = "sqlite:///of-the-file.db"')
    desk.environ["TOCSIN_DATABASE"] = "sqlite:///of-the-environment.db"
    assert desk.tocsin("status").code == 0
    assert ("of-the-environment.db" in desk.files(), "of-the-file.db" in desk.files()) == (True, False)


def test_tocsin_broker_overrides_the_file(desk: Desk) -> None:
    desk.write('broker = "memory://"')
    desk.environ["TOCSIN_BROKER"] = "amqp://u:hunter2@h"
    said = desk.tocsin("check", "--offline")
    assert (said.code, said.err.startswith("TOCSIN_BROKER: must be memory://"), "hunter2" in said.err) == (
        2,
        True,
        False,
    )


def test_a_secret_in_plain_text_works_and_is_warned_about_once_a_command(desk: Desk) -> None:
    desk.write(SOURCE.replace('{ env = "K" }', '"hunter2"', 1))
    desk.environ["K"] = "k"
    said = desk.tocsin("status")
    warning = "sources.a.publishable_key: the secret stands in the file as plain text; better "
    assert (said.code, said.err.count(warning), "hunter2" in said.out + said.err) == (0, 1, False)


def test_init_writes_a_configuration_that_check_accepts(desk: Desk) -> None:
    said = desk.tocsin("init")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:2] == [f"wrote {desk.folder}/tocsin.toml", f"wrote {desk.folder}/tocsin.key"]
    assert desk.tocsin("check", "--offline").out == f"{desk.folder}/tocsin.toml: ok; 0 sources, 0 endpoints\n"


def test_init_makes_a_key_that_only_its_owner_reads(desk: Desk) -> None:
    desk.tocsin("init")
    key = desk.folder / "tocsin.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Fernet(key.read_bytes().strip())


def test_init_refuses_to_overwrite(desk: Desk) -> None:
    path = desk.write("# mine")
    said = desk.tocsin("init")
    assert (said.code, said.out, said.err) == (2, "", f"{path}: is there already, and is never overwritten\n")
    assert (path.read_text(encoding="utf-8"), desk.files()) == ("# mine", {"tocsin.toml"})


def test_init_writes_the_file_that_was_named(desk: Desk) -> None:
    desk.environ["TOCSIN_CONFIG"] = "of-environment.toml"
    assert [desk.tocsin("init").code, desk.tocsin("init", "--config", "mine.toml").code] == [0, 0]
    assert desk.files() == {"of-environment.toml", "mine.toml", "tocsin.key"}


def test_init_where_it_cannot_write_says_so(desk: Desk) -> None:
    said = desk.tocsin("init", "--config", "nowhere/tocsin.toml")
    assert (said.code, said.err) == (
        2,
        f"{desk.folder}/nowhere/tocsin.key: cannot be written: No such file or directory\n",
    )


def test_version_is_told(desk: Desk) -> None:
    assert (desk.tocsin("--version").code, desk.tocsin("--version").out) == (0, "tocsin 0.1.0\n")


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ((), "dependable stream of signed webhooks"),
        (("init",), "Never overwrites"),
        (("check",), "ask each source for one page"),
        (("migrate",), "this version's schema"),
        (("run",), "everything in one process"),
        (("poll",), "SOURCE"),
        (("status",), "needs a person"),
        (("notifications", "list"), "--kind"),
        (("notifications", "show"), "attempts"),
        (("deliveries", "list"), "--endpoint"),
        (("redeliver",), "DELIVERY"),
        (("endpoints", "list"), "fares"),
        (("endpoints", "secret"), "verifies"),
        (("endpoints", "test"), "tocsin.test"),
        (("endpoints", "enable"), "pending"),
        (("endpoints", "disable"), "waits"),
        (("sources", "list"), "fares"),
        (("sources", "pause"), "resumed"),
        (("sources", "resume"), "at once"),
        (("rejected", "list"), "--json"),
        (("rejected", "retry"), "still rejected"),
        (("prune",), "retention"),
        (("demo",), "--seconds"),
    ],
    ids=str,
)
def test_help_says_what_a_command_does_without_a_configuration(desk: Desk, words: tuple[str, ...], word: str) -> None:
    said = desk.tocsin(*words, "--help")
    assert (said.code, said.err, word in said.out) == (0, "", True)


@pytest.mark.parametrize(
    "words", [(), ("sources",), ("endpoints",), ("rejected",), ("notifications",), ("deliveries",)]
)
def test_a_group_alone_shows_its_commands(desk: Desk, words: tuple[str, ...]) -> None:
    said = desk.tocsin(*words)
    assert (said.code, "Usage" in said.out, "Commands" in said.out, said.err) == (2, True, True, "")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("backfill", "x"),
        ("replay",),
        ("endpoints", "rotate"),
        ("status", "--yaml"),
        ("poll",),
        ("poll", "a", "b"),
        ("redeliver",),
        ("redeliver", "one"),
        ("redeliver", "0"),
        ("redeliver", "99999999999999999999"),
        ("notifications", "show", "1"),
        ("notifications", "list", "--status", "lost"),
        ("notifications", "list", "--limit", "-1"),
        ("notifications", "list", "--limit", "99999999999999999999"),
        ("deliveries", "list", "--status", "sent"),
        ("deliveries", "list", "--since", "yesterday"),
        ("notifications", "list", "--since", ""),
        ("notifications", "list", "--until", "0001-01-01T00:00:00+14:00"),
        ("demo", "--seconds", "soon"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_is_no_traceback_and_exits_2(desk: Desk, words: tuple[str, ...]) -> None:
    desk.write("")
    said = desk.tocsin(*words)
    assert (said.code, said.out, "Usage" in said.err, "Traceback" in said.err) == (2, "", True, False)
    assert desk.files() == {"tocsin.toml"}


def test_a_level_of_the_log_that_is_none_is_one_line(desk: Desk) -> None:
    desk.environ["TOCSIN_LOG_LEVEL"] = "loud"
    said = desk.tocsin("status")
    assert (said.code, said.err) == (2, "TOCSIN_LOG_LEVEL: write debug, info, warning, error, critical\n")


@pytest.mark.parametrize("words", [("health", "--json"), ("check", "--help")], ids=str)
def test_a_level_of_the_log_that_is_none_is_nothing_to_who_logs_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    desk.environ["TOCSIN_LOG_LEVEL"] = "loud"
    desk.write("")
    said = desk.tocsin(*words)
    assert (said.out != "", said.err) == (True, "")
