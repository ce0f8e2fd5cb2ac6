from pathlib import Path

import pytest

from worker.settings.addresses import broker_address, database_address

FOLDER = Path("/srv/tocsin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite:///tocsin.db", "sqlite:////srv/tocsin/tocsin.db"),
        ("sqlite:///kept/tocsin.db", "sqlite:////srv/tocsin/kept/tocsin.db"),
        ("sqlite:////var/lib/tocsin.db", "sqlite:////var/lib/tocsin.db"),
        ("postgresql+psycopg://u:p@host:5432/name", "postgresql+psycopg://u:p@host:5432/name"),
        ("postgresql+psycopg:///name?host=/run/postgresql", "postgresql+psycopg:///name?host=/run/postgresql"),
    ],
)
def test_an_sqlite_path_is_relative_to_the_folder_and_the_rest_is_kept(text: str, expected: str) -> None:
    assert database_address(text, FOLDER) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:hunter2@host/name", "write postgresql+psycopg:// instead of postgresql://"),
        ("postgres://u:hunter2@host/name", "write postgresql+psycopg:// instead of postgres://"),
        ("postgresql+asyncpg://u:hunter2@h/n", "write postgresql+psycopg:// instead of postgresql+asyncpg://"),
        ("mysql://u:hunter2@host/name", "must be sqlite:///path or postgresql+psycopg://user:password@host/name"),
        ("tocsin.db", "must be sqlite:///path or postgresql+psycopg://user:password@host/name"),
        ("sqlite:///", "a database in memory would be lost; write sqlite:///tocsin.db"),
        ("sqlite:///:memory:", "a database in memory would be lost; write sqlite:///tocsin.db"),
        ("sqlite:///tocsin.db?mode=ro", "is not the path of a file; write sqlite:///tocsin.db"),
        ("sqlite:///toc\nsin.db", "is not the path of a file; write sqlite:///tocsin.db"),
    ],
)
def test_another_database_is_refused_with_what_to_write(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"write|must") as caught:
        database_address(text, FOLDER)
    assert str(caught.value) == expected


@pytest.mark.parametrize("rest", ["", "u:hunter2@/name", "u:hunter2@host:port/name", "u:hunter[2@host/name", "h:0/n"])
def test_a_postgresql_address_that_cannot_be_taken_apart_is_refused_without_its_password(rest: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not an address; write postgresql\+psycopg://user:password@host"
    ) as caught:
        database_address(f"postgresql+psycopg://{rest}", FOLDER)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["memory://", "memory://localhost/", "redis://host", "redis://u:p@host:6379/0", "rediss://host:6380/1"]
)
def test_memory_and_redis_are_brokers(text: str) -> None:
    assert broker_address(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://u:hunter2@h", "must be memory://, redis://"),
        ("memory://elsewhere", "must be memory://, redis://"),
        ("redis://", "is not an address; write redis://host:6379/0"),
        ("redis://:hunter2@h:x/0", "is not an address; write redis://host:6379/0"),
        ("redis://:hunter2@h:6379/zero", "what follows the host is the number of Redis's database"),
    ],
)
def test_another_broker_is_refused_with_what_to_write(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"write|must") as caught:
        broker_address(text)
    assert str(caught.value).startswith(expected)
    assert "hunter" not in str(caught.value)
