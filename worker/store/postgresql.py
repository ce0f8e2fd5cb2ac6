"""Connections to PostgreSQL: how many, what they may not outlast, and how it is noticed that one is dead.

All of it stands here; a parameter in the database's address wins over ours. README, "Operating it", has it as a table.
"""

from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url

from worker.errors import ConfigurationError

POOL_SIZE, POOL_MORE = 10, 10
"""Connections that a process keeps, and more that it opens when it is busy. A thread needs one at a time: `tocsin run`
has ten threads, a forked child has one, and of more than twenty threads some wait, for milliseconds as a rule."""

_READ_ONLY, _LOCK_NOT_AVAILABLE = "25006", "55P03"

_POOL_TIMEOUT_S = 30
_RECYCLED_AFTER_S = 1800

LIMITS = MappingProxyType(
    {
        "idle_in_transaction_session_timeout": "15s",
        "lock_timeout": "30s",
        "statement_timeout": "120s",
    }
)
"""In this order: whoever stands still in the midst of a transaction (a stopped process, a machine that is gone) loses
it, and its locks, before others give up waiting for them; and a wait ends before the statement that it is part of. Ours
take milliseconds, a page of a provider's less than a second; counting and pruning in large tables takes seconds.
`unlimited` is for migrations."""

_SETTINGS = MappingProxyType(
    {
        "timezone": "UTC",
        # on disks without a head, pages cost what they do: else a claim may read all messages, rather than 500 of them
        "random_page_cost": "1.1",
        # prepared statements are planned for their values still: in a plan for any, `status` could be of no use to the
        # indexes that hold what is pending alone, and a plan of when a table was empty would be kept
        "plan_cache_mode": "force_custom_plan",
    }
)
_KEPT_PLANS = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"
_MARKED = f"{_KEPT_PLANS}; SAVEPOINT marked"
_CONNECTION = MappingProxyType(
    {
        "application_name": "tocsin",
        "connect_timeout": 10,
        # the other end gone without a word: noticed within a minute when we listen, in 30 s when we speak
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        # where the address names several hosts, the one that takes writes
        "target_session_attrs": "read-write",
        # a statement that a connection has seen so often is kept prepared, and read and analysed no more
        "prepare_threshold": 5,
    }
)


def pool(address: str) -> Engine:
    """The pool of one process, empty yet. A connection is tried before it is used, and replaced if it is dead.

    Raises ConfigurationError for a `prepare_threshold` that is none.
    """
    url = make_url(address)
    made = create_engine(
        url.difference_update_query(["options", "prepare_threshold"]),
        connect_args=_arguments(url),
        pool_size=POOL_SIZE,
        max_overflow=POOL_MORE,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_recycle=_RECYCLED_AFTER_S,
        pool_use_lifo=True,
        pool_pre_ping=True,
    )
    event.listen(made, "handle_error", _leave_a_stand_in)
    return made


def keep_plans(connection: Connection) -> None:
    """Until this transaction ends, plan once for all rows what checks a foreign key: to plan costs more than to look.

    The plan is kept after that, for such transactions alone, and by index: the best one for a table that is yet empty
    would be to read all of it.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_KEPT_PLANS)


def mark(connection: Connection) -> None:
    """The same, and a place in the transaction for `back`: in one go, where each would ask the server by itself.

    The place is left to the commit; to give it up would be to ask once more.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_MARKED)


def back(connection: Connection) -> None:
    """Undo what was done since the last `mark`. SQLite refuses a row alone, and has nothing to undo.

    There, a savepoint would copy each page that is touched, which costs as much as to write the rows.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT marked")


def _arguments(url: URL) -> dict[str, Any]:
    options = " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, **LIMITS}.items())
    theirs = url.query.get("options", "")
    asked = url.query.get("prepare_threshold")
    ours: dict[str, Any] = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    ours["options"] = f"{options} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()
    if asked is not None:
        ours["prepare_threshold"] = _threshold(asked)
    return ours


def _threshold(asked: object) -> int | None:
    """At the first use, 0, psycopg would prepare several commands in one string too, which can't be."""
    if isinstance(asked, str) and (asked.isdecimal() or asked == "none"):
        return None if asked == "none" else max(1, int(asked))
    raise ConfigurationError(["database: prepare_threshold: write a number, or none"])


def _leave_a_stand_in(context: ExceptionContext) -> None:
    """After a fail-over the former primary may live on, and take no writes: its connections are as good as dead."""
    if _sqlstate(context.original_exception) == _READ_ONLY:
        context.is_disconnect = True


def is_waiting_in_vain(error: BaseException | None) -> bool:
    """Whether a statement was given up because somebody else held a lock for too long."""
    return _sqlstate(error) == _LOCK_NOT_AVAILABLE


def _sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's code. Its driver's own classes aren't asked for: with SQLite, nobody loads it."""
    return getattr(error, "sqlstate", None)
