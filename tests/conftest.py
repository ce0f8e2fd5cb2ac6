"""What many tests share: real servers, once per process, and a fresh migrated database for each test."""

import os
import shutil
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from operator import itemgetter
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from structlog._config import BoundLoggerLazyProxy

from tests.servers import Postgres, Redis, valkey_program
from worker.store import schema
from worker.store.session import Database

_UNTRACED = [phase for phase in Phase if phase is not Phase.explain]
"""To explain a failure, every line of every example is traced, also when all is well: that takes most of the time."""
settings.register_profile(
    "daily", derandomize=True, deadline=None, phases=_UNTRACED, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", settings.get_profile("daily"), derandomize=False, max_examples=1000, print_blob=True
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "daily")
)  # neither goes by how quick the machine is; daily tries the same each day


_UNMEASURED = (
    "tests/acceptance", "tests/storm", "tests/tormentor", "tests/integration/schedule/test_ten_thousand_sources.py",
    "tests/integration/following/test_following_", "tests/integration/following/test_throttled.py",
    "tests/integration/following/test_withdrawals.py", "tests/integration/backfill/test_backfill_memory.py",
    "tests/integration/backfill/test_backfill_windows.py", "tests/providers/test_known_to_go_wrong.py",
    "tests/integration/store/test_outage.py", "tests/unit/rest/test_answers.py",
)  # fmt: skip
"""What starts processes, lets days go by, or makes hypothesis try much: the same lines thousands of times."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Measuring branches makes a test take 1.7 times as long, so it is left out where it would show nothing new."""
    without = tuple(str(config.rootpath / path) for path in _UNMEASURED)
    for item in items:
        if str(item.path).startswith(without):
            item.add_marker(pytest.mark.no_cover)
    waiting = [item for item in items if item.path.is_relative_to(config.rootpath / "tests" / "acceptance")]
    known = set(waiting)
    working = [item for item in items if item not in known]
    items[:] = [item for _, item in sorted([*_evenly(waiting), *_evenly(working)], key=itemgetter(0))]


def _evenly(items: list[pytest.Item]) -> Iterator[tuple[float, pytest.Item]]:
    """Each with its place between 0 and 1: processes are waited for, and meanwhile other workers have what to do."""
    return (((number + 0.5) / len(items), item) for number, item in enumerate(items))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """What a test left out stands on is left out too."""
    with _untraced(item):
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """In a worker of xdist two measurements run, of which `no_cover` pauses one, and the other goes on."""
    with _untraced(item):
        return (yield)


@contextmanager
def _untraced(item: pytest.Item) -> Iterator[None]:
    own, of_threads = sys.gettrace(), threading.gettrace()
    if item.get_closest_marker("no_cover"):
        sys.settrace(None)
        threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(own)
        threading.settrace(of_threads)


_DEFAULTS = structlog.get_config()["processors"][:-1]
_PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


@pytest.fixture(autouse=True)
def _logs_of_nobody_else() -> Iterator[None]:
    """Loggers that no test has set up; their tracebacks are plain, for a rich one takes a second to be coloured."""
    structlog.reset_defaults()
    structlog.configure(processors=[*_DEFAULTS, _PLAIN])
    yield
    if structlog.get_config()["cache_logger_on_first_use"]:
        _forget_loggers()


def _forget_loggers() -> None:
    """What a logger that was used once was told then, by a command that ran in this process, it goes on with."""
    ours = [module for name, module in list(sys.modules.items()) if name.startswith(("worker", "schedules"))]
    for module in ours:
        for each in list(vars(module).values()):
            if type(each) is BoundLoggerLazyProxy:  # isinstance would open what is a proxy of something else
                vars(each).pop("bind", None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL; `create()` makes a database in it."""
    with Postgres() as server:
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis of the oldest version that Celery takes. Whoever uses it leaves it running."""
    with Redis() as server:
        yield server
        server.stop()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Redis]:
    """A Valkey, as a newer Redis."""
    with Redis(valkey_program()) as server:
        yield server
        server.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database on PostgreSQL, not migrated."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a migrated PostgreSQL database, to be copied."""
    url = postgres.create()
    _migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh migrated database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "tocsin.db")
        yield f"sqlite:///{tmp_path / 'tocsin.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create(request.getfixturevalue("migrated_template"))
    yield url
    server.drop(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh migrated database, opened."""
    with closing(Database(database_url)) as opened:
        yield opened


def _migrate(url: str) -> None:
    with closing(Database(url)) as database:
        schema.migrate(database)
