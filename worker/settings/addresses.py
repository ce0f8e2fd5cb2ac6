"""Where the database and the broker are. Neither address is ever repeated: it may hold a password."""

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

POSTGRESQL = "postgresql+psycopg://"
_SQLITE = "sqlite:///"
_OTHER_POSTGRESQL = re.compile(r"(postgres(?:ql)?(?:\+[a-z0-9]+)?)://")


def database_address(text: str, folder: Path) -> str:
    """The address as SQLAlchemy takes it, a relative SQLite path made absolute from `folder`. Raises ValueError."""
    if text.startswith(_SQLITE):
        return _sqlite(text.removeprefix(_SQLITE), folder)
    if text.startswith(POSTGRESQL):
        _check(text, f"{POSTGRESQL}user:password@host/name")
        if text.count("@") > 1:
            raise ValueError("has more than one @; write %40 for one in the password")
        return text
    other = _OTHER_POSTGRESQL.match(text)
    if other:
        raise ValueError(f"write {POSTGRESQL} instead of {other[1]}://")
    raise ValueError("must be sqlite:///path or postgresql+psycopg://user:password@host/name")


def with_password(address: str, password: str) -> str:
    """PostgreSQL's address with its user's password, which stood elsewhere. Raises ValueError where that can't be."""
    if not address.startswith(POSTGRESQL):
        raise ValueError("is for PostgreSQL; the database is SQLite")
    user, at, rest = address.removeprefix(POSTGRESQL).partition("@")
    if not at or not user:
        raise ValueError(f"whose? write the user into the database's address: {POSTGRESQL}user@host/name")
    if ":" in user:
        raise ValueError("the database's address has a password already; take one of them away")
    return f"{POSTGRESQL}{user}:{quote(password, safe='')}@{rest}"


def broker_address(text: str) -> str:
    """`memory://`, or Redis's address. Raises ValueError."""
    if text in {"memory://", "memory:///", "memory://localhost/"}:
        return text
    if not text.startswith(("redis://", "rediss://")):
        raise ValueError("must be memory://, redis://host:6379/0 or rediss://host:6379/0")
    number = _check(text, "redis://host:6379/0").strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError("what follows the host is the number of Redis's database; write redis://host:6379/0")
    return text


def _sqlite(path: str, folder: Path) -> str:
    if path in {"", ":memory:"}:
        raise ValueError("a database in memory would be lost; write sqlite:///tocsin.db")
    if "?" in path or not path.isprintable():
        raise ValueError("is not the path of a file; write sqlite:///tocsin.db")
    return f"{_SQLITE}{folder.absolute() / path}"


def _check(text: str, example: str) -> str:
    """The address's path. Raises ValueError for what can't be taken apart."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or not text.isprintable() or not (parts.hostname or parts.query):
        raise ValueError(f"is not an address; write {example}, and percent-encode what is special in the password")
    return parts.path
