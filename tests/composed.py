"""compose.yaml as real processes on this machine: each service's own command, environment and health check.

What containers have and processes lack is mapped: a service's name becomes a port on loopback, a mounted secret or
configuration the file that it is of, a program of an image the one that a package brings.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

from tests.acceptance.processes import Running
from tests.servers import LOOPBACK, Postgres, Redis, postgres_program, redis_program, valkey_program

ROOT = Path(__file__).parents[1]
FILE = ROOT / "compose.yaml"
_COMMAND = re.compile(r"^#   (umask .*|head .*)$", re.MULTILINE)
_MOUNTED = Path("/run/secrets")
_CHECK_WITHIN_S = 15
_ANY = 1


def document() -> dict[str, Any]:
    """The file as Compose reads it."""
    read: dict[str, Any] = YAML(typ="safe").load(FILE.read_text(encoding="utf-8"))
    return read


def make_secrets(folder: Path) -> None:
    """What the file's own first lines say is to be done before the first start."""
    commands = [line.partition("  #")[0] for line in _COMMAND.findall(FILE.read_text(encoding="utf-8"))]
    subprocess.run(["/bin/sh", "-e", "-c", "\n".join(commands)], cwd=folder, check=True)


@dataclass(frozen=True)
class Composed:
    """The services, as processes in this folder. `hosts`: a service's `name:port` → where it listens here."""

    folder: Path
    services: Mapping[str, Mapping[str, Any]]
    secrets: Mapping[str, Mapping[str, str]]
    hosts: Mapping[str, str]

    def start(self, service: str, metrics: int | None = None) -> Running:
        """The service's command. `metrics`: the port on which it answers for them."""
        return Running(self._program(self.services[service]["command"]), self._environ(service, metrics), self.folder)

    def is_healthy(self, service: str) -> bool:
        """What the service's health check says now."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        checked = subprocess.run(
            self._program(words),
            env=self._environ(service, _ANY),
            cwd=self.folder,
            capture_output=True,
            timeout=_CHECK_WITHIN_S,
            check=False,
        )
        return checked.returncode == 0

    def _environ(self, service: str, metrics: int | None) -> dict[str, str]:
        """The service's environment, and what any process here needs."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        ours |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder)}
        for name, value in self.services[service].get("environment", {}).items():
            ours[name] = self._here(name, str(value), metrics)
        return ours

    def _program(self, words: Sequence[object]) -> tuple[str, ...]:
        """A command with the program that is here for it, told where its server is where it must be."""
        first, *others = (str(word) for word in words)
        ports = {host: here.rpartition(":")[2] for host, here in self.hosts.items()}
        found: dict[str, tuple[str, ...]] = {
            "tocsin": (sys.executable, "-m", "worker.cli"),
            "pg_isready": (str(postgres_program("pg_isready")), f"--port={ports['postgres:5432']}"),
            "valkey-cli": (str(redis_program().with_name("redis-cli")), "-p", ports["redis:6379"]),
        }
        return (*found[first], *others)

    def _here(self, name: str, value: str, metrics: int | None) -> str:
        if name == "TOCSIN_METRICS":
            assert metrics, "a port for its metrics"
            return f"{LOOPBACK}:{metrics}"
        if name == "TOCSIN_CONFIG":
            return str(self.folder / Path(value).name)
        if value.startswith(f"{_MOUNTED}/"):
            return str(self.folder / self.secrets[Path(value).name]["file"])
        for host, here in self.hosts.items():
            value = value.replace(host, here)
        return value


class ComposedPostgres(Postgres):
    """PostgreSQL with the service's own settings, user, database and password, as its image makes them."""

    def __init__(self, service: Mapping[str, Any], password: Path) -> None:
        super().__init__()
        self._service = service["environment"]
        self._password = password.read_text(encoding="ascii").strip()
        program, *self._settings = (str(word) for word in service["command"])
        assert program == "postgres"

    def start(self) -> None:
        """Start it, and make the database that the service names."""
        super().start()
        user = self._service["POSTGRES_USER"]
        self._say(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{self._password}'")
        self._say(f"CREATE DATABASE {self._service['POSTGRES_DB']} OWNER {user}")
        hba = self.folder / "data" / "pg_hba.conf"
        hba.write_text(f"host all postgres {LOOPBACK}/32 trust\nhost all all {LOOPBACK}/32 scram-sha-256\n")
        self._say("SELECT pg_reload_conf()")

    def setting(self, name: str) -> str:
        """What it has of a setting."""
        with psycopg.connect(self._dsn()) as connection:
            found = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert found
        return str(found[0])

    def _command(self) -> list[str]:
        return [*super()._command(), *self._settings]


class ComposedRedis(Redis):
    """Valkey with the service's own settings."""

    def __init__(self, service: Mapping[str, Any]) -> None:
        super().__init__(valkey_program())
        program, *self._settings = (str(word) for word in service["command"])
        assert program == "valkey-server"

    def _command(self) -> list[str]:
        return [str(self.program), "--port", str(self.port), "--bind", LOOPBACK, *self._settings]
