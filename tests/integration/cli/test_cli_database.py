import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.integration.cli.desk import Desk
from worker import operations
from worker.sandbox import HandClock, Sandbox
from worker.store.head import HEAD

OPENING = [
    ("migrate",),
    ("status",),
    ("poll", "bookkeep"),
    ("notifications", "list"),
    ("deliveries", "list", "--json"),
    ("redeliver", "1"),
    ("endpoints", "test", "sandbox"),
    ("sources", "list"),
    ("rejected", "retry"),
    ("prune",),
    ("run",),
]


def test_migrate_makes_the_schema_and_says_so_again(configured: Desk) -> None:
    first, second = configured.tocsin("migrate"), configured.tocsin("migrate")
    assert (first.code, first.out) == (0, f"the schema is now {HEAD}\n")
    assert (second.code, second.out) == (0, f"the schema was {HEAD} already\n")


@pytest.mark.parametrize("words", [("status",), ("poll", "bookkeep"), ("prune",), ("rejected", "list")])
def test_a_fresh_sqlite_needs_no_migrate(configured: Desk, words: tuple[str, ...]) -> None:
    assert configured.tocsin(*words).code == 0
    assert configured.tocsin("migrate").out == f"the schema was {HEAD} already\n"


def test_postgresql_is_refused_until_it_was_migrated(desk: Desk, sandbox: Sandbox, postgres_url: str) -> None:
    desk.configure_sandbox(sandbox)
    desk.environ.update(TOCSIN_DATABASE=postgres_url, TOCSIN_KEY=Fernet.generate_key().decode())
    refused = [desk.tocsin("status"), desk.tocsin("run")]
    expected = [f"database: it has no tables yet, this version needs {HEAD}: run tocsin migrate"]
    assert [(said.code, said.out, said.complaints) for said in refused] == [(2, "", expected)] * 2
    assert desk.tocsin("migrate").out == f"the schema is now {HEAD}\n"
    assert desk.tocsin("migrate").out == f"the schema was {HEAD} already\n"
    assert desk.tocsin("status").code == 0


def test_the_commands_do_on_postgresql_what_they_do_on_sqlite(desk: Desk, sandbox: Sandbox, postgres_url: str) -> None:
    desk.configure_sandbox(sandbox)
    desk.environ.update(TOCSIN_DATABASE=postgres_url, TOCSIN_KEY=Fernet.generate_key().decode())
    desk.tocsin("migrate")
    sandbox.publish(2, "bookkeep")
    assert desk.tocsin("poll", "bookkeep", "--json").row["new"] == 2
    assert desk.deliver() == 2
    rows = desk.tocsin("deliveries", "list", "--json", "--since", "2020-01-01", "--status", "delivered").rows
    assert len(rows) == 2
    assert len(desk.tocsin("notifications", "list", "--json", "--kind", "*").rows) == 2
    assert desk.tocsin("notifications", "show", rows[0]["notification_id"]).code == 0
    assert desk.tocsin("redeliver", str(rows[0]["id"])).out == "1 owed again\n"
    assert desk.tocsin("endpoints", "test", "sandbox").code == 0
    assert desk.tocsin("rejected", "retry").code == 0
    assert desk.tocsin("prune").code == 0
    assert desk.tocsin("status").code == 0


def test_postgresql_needs_a_key(configured: Desk) -> None:
    configured.environ["TOCSIN_DATABASE"] = "postgresql+psycopg://u:hunter2@127.0.0.1:9/n"
    said = configured.tocsin("status")
    assert (said.code, said.err.startswith("key: PostgreSQL needs one"), "hunter2" in said.err) == (2, True, False)


@pytest.mark.parametrize("words", OPENING, ids=" ".join)
def test_a_database_that_cannot_be_opened_is_one_line_and_exits_2(configured: Desk, words: tuple[str, ...]) -> None:
    configured.environ["TOCSIN_DATABASE"] = "sqlite:///nowhere/tocsin.db"
    said = configured.tocsin(*words)
    expected = ["database: it can't be used: unable to open database file"]
    assert (said.code, said.out, said.complaints) == (2, "", expected)


def test_a_file_that_is_no_database_is_one_line(configured: Desk) -> None:
    configured.environ["TOCSIN_DATABASE"] = "sqlite:///tocsin.toml"
    said = configured.tocsin("status")
    assert (said.code, said.complaints) == (2, ["database: it can't be used: file is not a database"])


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://ann:hunter2@127.0.0.1:9/tocsin",
        "postgresql+psycopg://ann:hun@ter2@127.0.0.1:9/tocsin",
        "postgresql+psycopg://ann:hunter2@nowhere.invalid/tocsin",
        "postgresql+psycopg://ann@127.0.0.1:9/tocsin?password=hunter2",
        "postgresql+psycopg://ann:hunter2@127.0.0.1:9/tocsin?colour=red",
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line_without_its_password(configured: Desk, address: str) -> None:
    configured.environ.update(TOCSIN_DATABASE=address, TOCSIN_KEY=Fernet.generate_key().decode())
    for words in (("status",), ("migrate",)):
        said = configured.tocsin(*words)
        assert (said.code, said.out, len(said.complaints), "ter2" in said.err) == (2, "", 1, False)


@pytest.mark.parametrize("words", [("status",), ("poll", "bookkeep"), ("deliveries", "list"), ("redeliver", "1")])
def test_a_database_that_is_not_as_it_was_is_one_line(configured: Desk, words: tuple[str, ...]) -> None:
    configured.tocsin("migrate")
    with closing(sqlite3.connect(configured.folder / "tocsin.db")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for table in ("delivery", "source"):
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_of_old")
        connection.commit()
    said = configured.tocsin(*words)
    (line,) = said.complaints
    assert (said.code, said.out, line.startswith("database: it can't be used: no such table")) == (2, "", True)


def test_a_database_of_a_newer_version_is_refused(configured: Desk) -> None:
    configured.tocsin("migrate")
    with closing(sqlite3.connect(configured.folder / "tocsin.db")) as connection:
        connection.execute("UPDATE tocsin_schema SET version_num = '9999', compatible_since = '9998'")
        connection.commit()
    said = configured.tocsin("status")
    expected = [f"database: its schema (9999) is newer than this version's ({HEAD}): update Tocsin"]
    assert (said.code, said.complaints) == (2, expected)


def test_prune_counts_what_went(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    sandbox.change(2, "bookkeep")
    long_ago = HandClock(sandbox.clock() - timedelta(days=500))
    with configured.house(long_ago) as house:
        house.poll("bookkeep", only_due=False)
        house.deliver()
    assert len(configured.tocsin("notifications", "list", "--json").rows) == 2
    said = configured.tocsin("prune")
    expected = (
        "2 attempts, 1 poll runs, 2 notifications, 0 messages, 0 rejected, 0 backfills, 0 replays, 0 tokens pruned\n"
    )
    assert (said.code, said.out) == (0, expected)
    assert configured.tocsin("notifications", "list", "--json").rows == []


def test_prune_keeps_what_is_young(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    configured.deliver()
    said = configured.tocsin("prune")
    assert (said.code, said.out) == (
        0,
        "0 attempts, 0 poll runs, 0 notifications, 0 messages, 0 rejected, 0 backfills, 0 replays, 0 tokens pruned\n",
    )


def test_prune_keeps_as_long_as_the_configuration_says(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    sandbox.change(1, "bookkeep")
    with configured.house(HandClock(sandbox.clock() - timedelta(days=3))) as house:
        house.poll("bookkeep", only_due=False)
        house.deliver()
    path = Path(configured.folder, "tocsin.toml")
    path.write_text(path.read_text(encoding="utf-8") + '[retention]\nnotifications = "2d"\n', encoding="utf-8")
    assert (
        configured.tocsin("prune").out
        == "0 attempts, 0 poll runs, 1 notifications, 0 messages, 0 rejected, 0 backfills, 0 replays, 0 tokens pruned\n"
    )


def _of_long_ago(configured: Desk, sandbox: Sandbox) -> None:
    """Two notifications that are to be pruned."""
    sandbox.publish(2, "bookkeep")
    sandbox.change(2, "bookkeep")
    with configured.house(HandClock(sandbox.clock() - timedelta(days=500))) as house:
        house.poll("bookkeep", only_due=False)
        house.deliver()


def test_pruning_that_must_end_leaves_the_rest_to_the_next(configured: Desk, sandbox: Sandbox) -> None:
    _of_long_ago(configured, sandbox)
    with configured.house() as house:
        parts = [operations.prune(house, timedelta(0)) for _ in range(4)]
    gone = [{name: count for name, count in part.counts.items() if count} for part in parts]
    assert gone == [{"attempts": 2}, {"poll_runs": 1}, {"notifications": 2}, {}]
    assert [part.finished for part in parts] == [False, False, False, True]


def test_a_process_that_is_told_to_end_prunes_no_further(configured: Desk, sandbox: Sandbox) -> None:
    _of_long_ago(configured, sandbox)
    with configured.house() as house:
        house.stopping.set()
        stopped = operations.prune(house)
    assert (stopped.finished, dict(stopped.counts)) == (False, {"attempts": 2})
