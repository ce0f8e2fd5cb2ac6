"""Where benchmarks are played: servers, cores, and what processes have used of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]
import requests

from tests.servers import LOOPBACK, Postgres, free_port, wait_until

_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_in_single_buffer on;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen {host}:{port} backlog=2048; location / {{ return 204; }} }}
}}
"""


class Durable(Postgres):
    """A PostgreSQL as it is in earnest: it waits for its disk, and tidies up."""

    def _command(self) -> list[str]:
        settings = {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on",
            "shared_preload_libraries": "", "max_wal_size": "4GB",
        }  # fmt: skip
        return [*super()._command(), *(text for name, value in settings.items() for text in ("-c", f"{name}={value}"))]

    def processor_s(self) -> float:
        """Processor seconds of all its processes so far, of those that have ended too."""
        if self._process is None:
            return 0.0
        postmaster = psutil.Process(self._process.pid)
        its = postmaster.cpu_times()
        return sum(its[:4]) + sum(sum(each.cpu_times()[:2]) for each in postmaster.children())


@dataclass(frozen=True)
class Receiver:
    """Somebody who takes every POST. `kind` says what it is."""

    url: str
    kind: str


@contextmanager
def receiver(delay_ms: int = 0) -> Iterator[Receiver]:
    """An nginx, if there is one and nothing to wait for, else a bare one of ours; on the machine's last core."""
    with TemporaryDirectory(prefix="tocsin-") as name:
        port, nginx = free_port(), which("nginx") or which("nginx", path="/usr/sbin")
        if nginx and not delay_ms:
            file = Path(name) / "nginx.conf"
            file.write_text(_NGINX.format(folder=name, host=LOOPBACK, port=port), encoding="ascii")
            Path(name).chmod(0o777)  # its worker is another user
            command, kind = [nginx, "-p", name, "-c", str(file)], "nginx"
        else:
            program = Path(__file__).with_name("receiver.py")
            command, kind = [sys.executable, str(program), str(port), str(delay_ms)], "a bare asyncio receiver"
        with _started_away(command) as process:
            try:
                url = f"http://{LOOPBACK}:{port}"
                wait_until(lambda: _answers(url))
                yield Receiver(url, kind)
            finally:
                process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.post(url, b"{}", timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def on_one_core() -> Iterator[None]:
    """This process, and what it starts meanwhile, on the machine's first core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _started_away(command: list[str]) -> "subprocess.Popen[bytes]":
    """On the machine's last core, wherever we are."""
    here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    try:
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)
    finally:
        os.sched_setaffinity(0, here)
