"""A person at a terminal: a folder, the command `tocsin`, and what it prints."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from worker import wiring
from worker.cli.__main__ import main
from worker.sandbox import Sandbox
from worker.sandbox.configuration import configuration, written
from worker.wiring import House


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Said:
    """What a command did: its exit status, and what stood on its two streams."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON object of each line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        """The only JSON object."""
        (row,) = self.rows
        return row

    @property
    def complaints(self) -> list[str]:
        """The lines on standard error, without the warnings of secrets in plain text and without the log."""
        lines = self.err.splitlines()
        return [line for line in lines if "stands in the file as plain text" not in line and not line.startswith("{")]


@dataclass(frozen=True)
class Desk:
    """A folder with a tocsin.toml, and the command in this process."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def tocsin(self, *words: str, screen: bool = False) -> Said:
        """One command, by its entry point."""
        out, err = (Screen(), Screen()) if screen else (StringIO(), StringIO())
        with redirect_stdout(out), redirect_stderr(err), self._surroundings(words):
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
        return Said(code, out.getvalue(), err.getvalue())

    def process(self, *words: str, environ: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """The same command as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "worker.cli", *words],
            cwd=self.folder,
            env={**os.environ, **self.environ, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def finished(self, *words: str, environ: Mapping[str, str] | None = None) -> Said:
        """A process of it, to its end."""
        with self.process(*words, environ=environ) as process:
            out, err = process.communicate(timeout=30)
            return Said(process.returncode, out, err)

    def write(self, text: str, name: str = "tocsin.toml") -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def configure(
        self, sources: Mapping[str, Mapping[str, Any]], endpoints: Mapping[str, Mapping[str, Any]], **top: Any
    ) -> None:
        """A configuration of these."""
        self.write(written({"database": "sqlite:///tocsin.db", **top}, {"sources": sources, "endpoints": endpoints}))

    def configure_sandbox(self, sandbox: Sandbox) -> None:
        """The sandbox's three sources, polled rarely, and its endpoint."""
        self.write(configuration(sandbox, "1h"))

    @contextmanager
    def house(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[House]:
        """The house of the configuration, as a process would open it."""
        house = House(wiring.read_settings(self.folder / "tocsin.toml", self.environ), clock)
        house.move_in()
        try:
            yield house
        finally:
            house.close()

    def deliver(self) -> int:
        """One sweep of what is due now; the number of attempts."""
        with self.house() as house:
            return house.deliver()

    def files(self) -> set[str]:
        """The names of what is in the folder."""
        return {path.name for path in self.folder.iterdir()}

    @contextmanager
    def _surroundings(self, words: tuple[str, ...]) -> Iterator[None]:
        """A command of its own: its words, its environment, and no trace of them afterwards."""
        before, argv = dict(os.environ), sys.argv
        os.environ.update(self.environ)
        sys.argv = ["tocsin", *words]
        try:
            yield
        finally:
            sys.argv = argv
            os.environ.clear()
            os.environ.update(before)
