"""Addresses and keys that stand elsewhere: in a variable, in the file that one names, a password by itself."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.settings import Places, places

KEY = Fernet.generate_key().decode()
ADDRESS = "postgresql+psycopg://tocsin@db.example.com:5432/tocsin"
WITH_PASSWORD = "postgresql+psycopg://tocsin:p%40ss%2F%C3%A9@db.example.com:5432/tocsin"


def test_addresses_and_keys_may_stand_in_files_that_variables_name(desk: Any) -> None:
    environ = {
        "TOCSIN_DATABASE_FILE": str(desk.file("database", f"{WITH_PASSWORD}\n")),
        "TOCSIN_BROKER_FILE": str(desk.file("broker", "redis://:secret@redis.example.com:6379/0\n")),
        "TOCSIN_KEY_FILE": str(desk.file("key", f"{KEY}\n")),
    }
    read = desk.read("", environ)
    assert (read.database, read.broker) == (WITH_PASSWORD, "redis://:secret@redis.example.com:6379/0")
    assert [KEY] == [key.get_secret_value() for key in read.key]


def test_addresses_may_stand_where_secrets_may(desk: Any) -> None:
    desk.file("database", f"{WITH_PASSWORD}\n")
    read = desk.read(
        f'database = {{ file = "database" }}\nbroker = {{ env = "B" }}\nkey = "{KEY}"', {"B": "redis://r/0"}
    )
    assert (read.database, read.broker) == (WITH_PASSWORD, "redis://r/0")


def test_a_variable_says_more_than_its_file(desk: Any) -> None:
    read = desk.read("", {"TOCSIN_BROKER": "redis://one/0", "TOCSIN_BROKER_FILE": str(desk.file("b", "redis://two/0"))})
    assert read.broker == "redis://one/0"


def test_the_databases_password_may_stand_by_itself_and_is_encoded(desk: Any) -> None:
    desk.file("password", "p@ss/é\n")
    text = f'database = "{ADDRESS}"\ndatabase_password = {{ file = "password" }}\nkey = "{KEY}"'
    assert desk.read(text).database == WITH_PASSWORD
    environ = {"TOCSIN_DATABASE": ADDRESS, "TOCSIN_DATABASE_PASSWORD": "p@ss/é", "TOCSIN_KEY": KEY}
    assert desk.read("", environ).database == WITH_PASSWORD


@pytest.mark.parametrize(
    ("database", "problem"),
    [
        ("sqlite:///tocsin.db", "is for PostgreSQL; the database is SQLite"),
        (WITH_PASSWORD, "the database's address has a password already; take one of them away"),
        (
            "postgresql+psycopg://db.example.com/tocsin",
            "whose? write the user into the database's address: postgresql+psycopg://user@host/name",
        ),
    ],
)
def test_a_password_that_has_no_place_is_told_and_not_shown(desk: Any, database: str, problem: str) -> None:
    problems = desk.problems(f'database = "{database}"\ndatabase_password = "hush"\nkey = "{KEY}"')
    assert problems == (f"database_password: {problem}",)


def test_a_file_that_is_not_there_is_told_by_its_variable(desk: Any) -> None:
    problems = desk.problems("", {"TOCSIN_BROKER_FILE": "/nowhere/broker"})
    assert problems == ('TOCSIN_BROKER_FILE: file "/nowhere/broker" cannot be read: No such file or directory',)


def test_the_places_can_be_read_without_the_rest(desk: Any) -> None:
    file = desk.file("tocsin.toml", f'database = "{ADDRESS}"\ndatabase_password = "hush"\nsources = "all of them"')
    found = places(file, {"TOCSIN_BROKER": "redis://r/0"})
    assert found == Places("postgresql+psycopg://tocsin:hush@db.example.com:5432/tocsin", "redis://r/0")
    assert "hush" not in repr(found)


def test_places_that_cannot_be_used_are_told(desk: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        places(desk.file("tocsin.toml", "database = 5\nbroker = true"), {})
    assert caught.value.problems == ("database: must be text, in quotes", "broker: must be text, in quotes")
