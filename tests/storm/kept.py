"""A process that is started again whenever it ends, as a supervisor does; killed and stopped with its children."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

from tests.storm.waiting import wait_until

_AGAIN_AFTER_S: Final = 1.0
_ENDS_WITHIN_S: Final = 60.0
_PARENT, _GROUP = 1, 2  # of what /proc/PID/stat says behind the name


class Kept:
    """One such process. A context manager: left, it is gone, and so is all that it started, orphans too."""

    def __init__(self, name: str, command: tuple[str, ...], environ: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.starts = 0
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self._command, self._environ, self._folder = command, environ, folder
        self._ending = Event()
        self._groups: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._keep, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        while self._thread.is_alive():
            self._kill_everything()
            self._thread.join(0.1)
        self._kill_everything()

    @property
    def said(self) -> str:
        """What it logged so far, all lives together."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """It and its children, at the same time."""
        self._signal_group(signal.SIGKILL)

    def kill_parent(self) -> None:
        """It alone: its children find themselves without a parent."""
        if self._process:
            self._process.kill()

    def kill_child(self, which: int) -> None:
        """One of its children; itself, where there is none."""
        children = self._children()
        with suppress(ProcessLookupError):
            if children:
                os.kill(children[which % len(children)], signal.SIGKILL)
            else:
                self.kill_parent()

    def stop(self) -> int | None:
        """It stands still, with its children; what `go_on` needs."""
        process = self._process
        self._signal_group(signal.SIGSTOP)
        return process.pid if process else None

    def go_on(self, stopped: int | None) -> None:
        """Those that stood still, if they are still there."""
        if stopped is not None and _members(stopped, self._mark):
            os.killpg(stopped, signal.SIGCONT)

    def tell(self) -> None:
        """To end, as at a deployment; it is not started again."""
        self._ending.set()
        if self._process:
            self._process.terminate()

    def ended(self) -> int:
        """The exit status of one that was told to end. Raises TimeoutError."""
        process = self._process
        if process is None:
            return 0
        wait_until(lambda: process.poll() is not None, _ENDS_WITHIN_S)
        self._thread.join()
        return process.returncode

    @property
    def _mark(self) -> bytes:
        """What stands in the environment of all that is ours."""
        return f"TOCSIN_CONFIG={self._environ['TOCSIN_CONFIG']}".encode()

    def _keep(self) -> None:
        while not self._ending.is_set():
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, env=self._environ, cwd=self._folder,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            self._groups.append(self._process.pid)
            self.starts += 1
            self._process.wait()
            self._ending.wait(_AGAIN_AFTER_S)

    def _signal_group(self, number: signal.Signals) -> None:
        process = self._process
        if process and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _children(self) -> list[int]:
        process = self._process
        return [] if process is None else sorted(pid for pid, stat in _processes() if stat[_PARENT] == process.pid)

    def _kill_everything(self) -> None:
        for group in self._groups:
            for pid in _members(group, self._mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _members(group: int, mark: bytes) -> list[int]:
    """The processes of a group that are ours: numbers are used again, in the end."""
    return [pid for pid, stat in _processes() if stat[_GROUP] == group and mark in _environment(pid)]


def _processes() -> list[tuple[int, list[int]]]:
    """Every process, with its state's first figures: nothing, its parent, its group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            words = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            found.append((int(folder.name), [0, *(int(word) for word in words[1:3])]))
    return found


def _environment(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""
