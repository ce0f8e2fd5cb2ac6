"""Tocsin as real processes, around one sandbox: started, signalled, killed and read."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Self

import orjson
from cryptography.fernet import Fernet

from tests.servers import Redis
from worker.sandbox import Sandbox
from worker.sandbox.configuration import configuration, written
from worker.wiring import House, open_house, read_settings

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent
COMMAND = (sys.executable, "-m", "worker.cli")
_PATIENCE_S = 30.0
_PAUSE_S = 0.1

Tables = Mapping[str, Mapping[str, Mapping[str, Any]]]


class Running:
    """A process, and all that it says, in files. A context manager: left, the process is gone."""

    def __init__(self, command: tuple[str, ...], environ: Mapping[str, str], folder: Path) -> None:
        number = len(list(folder.glob("*.stdout")))
        self._stdout, self._stderr = folder / f"{number}.stdout", folder / f"{number}.stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def stdout(self) -> str:
        """What it said so far."""
        return self._stdout.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What it complained of, and logged, so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def says(self, text: str) -> Self:
        """Wait until it has said so, on either."""
        self.until(lambda: text in self.stdout or text in self.stderr, text)
        return self

    def until(self, ready: Callable[[], bool], what: str, within_s: float = _PATIENCE_S) -> None:
        """Wait for what this process is to bring about; it must not end before."""
        pause, until = Event(), monotonic() + within_s
        while monotonic() < until:
            if ready():
                return
            assert self._process.poll() is None, f"ended before: {what}\n{self.stderr}"
            pause.wait(_PAUSE_S)
        raise AssertionError(f"in vain waited for: {what}\n{self.stderr}")

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self._process.send_signal(number)

    def ended(self, within_s: float = _PATIENCE_S) -> int:
        """Its exit status, once it has one. Raises subprocess.TimeoutExpired."""
        return self._process.wait(within_s)

    def stopped(self, number: signal.Signals = signal.SIGTERM, within_s: float = _PATIENCE_S) -> int:
        """Tell it to end; its exit status."""
        self.send(number)
        return self.ended(within_s)


class Tocsin:
    """A tocsin.toml for a sandbox, and the processes that read it."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.file = folder / "tocsin.toml"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.environ |= {"TOCSIN_CONFIG": str(self.file), "PYTHONPATH": str(ROOT)}
        self.configure("1s")

    def configure(self, every: str, **top: str) -> None:
        """The sandbox's own configuration."""
        self.file.write_text(configuration(self.sandbox, every, **top), encoding="utf-8")

    def write(self, head: Mapping[str, Any], tables: Tables) -> None:
        """Any other configuration."""
        self.file.write_text(written({"database": "sqlite:///tocsin.db", **head}, tables), encoding="utf-8")

    def spread(self, broker: Redis, database: str) -> None:
        """Over many processes, on a Redis that holds nothing yet."""
        broker.flush()
        self.environ |= {
            "TOCSIN_BROKER": broker.url,
            "TOCSIN_DATABASE": database,
            "TOCSIN_KEY": Fernet.generate_key().decode(),
        }

    def start(self, *command: str) -> Running:
        """Any process, in the environment of this configuration."""
        return Running(command, self.environ, self.folder)

    def run(self) -> Running:
        """`tocsin run`, once it is at work."""
        return self.start(*COMMAND, "run").says("run.started")

    def script(self, name: str, *words: str) -> Running:
        """A script of ours, that takes the real house to the brink."""
        return self.start(sys.executable, str(SCRIPTS / name), *words)

    def house(self) -> House:
        """The house of this configuration, in this process; to be closed."""
        return open_house(read_settings(self.file, self.environ))

    def says(self, *words: str) -> tuple[int, str, str]:
        """One command, to its end: exit status, standard output, standard error."""
        with self.start(*COMMAND, *words) as command:
            return command.ended(), command.stdout, command.stderr

    def ask(self, *words: str) -> list[dict[str, Any]]:
        """The rows of a command's JSON."""
        code, out, err = self.says(*words, "--json")
        assert code in {0, 1}, err
        return [orjson.loads(line) for line in out.splitlines()]
