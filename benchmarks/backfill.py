"""What `tocsin backfill` costs: rows a second and peak memory, over a source of a million rows, killed three times.

    .venv/bin/python -m benchmarks.backfill [ROWS] [DATABASE]

The provider is a stand-in for Realtime Register that makes its rows up by arithmetic, so nothing but the backfill takes
memory or time. The floor beside it: the same rows asked for and decoded, nothing stored.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import orjson
import requests
from sqlalchemy import text

from tests.words import database, positive
from worker.sandbox.configuration import written
from worker.store import schema
from worker.store.session import Database

SINCE, UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 12, 27, tzinfo=UTC)
PAGE = 100
SLACK = timedelta(seconds=5)
"""By so much windows overlap: a grain at either end, twice, and the second that bounds are rounded by."""

_KILLS = 3
_OPEN = 8
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Asked:
    """One request: the window and when it came."""

    start: datetime
    end: datetime
    offset: int
    at: float


class Rows:
    """So many rows, evenly spread from SINCE on; every eighth is still open."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.gap = (UNTIL - SINCE) / count

    def between(self, start: datetime, end: datetime) -> range:
        """The numbers of the rows of both instants and what lies between."""
        first = max(0, -((SINCE - start) // self.gap))
        return range(first, max(first, min(self.count, (end - SINCE) // self.gap + 1)))

    def row(self, number: int) -> dict[str, object]:
        """One row."""
        at = f"{SINCE + self.gap * number:%Y-%m-%dT%H:%M:%SZ}"
        closed = {} if number % _OPEN == 0 else {"acknowledgeDate": at}
        return {
            "id": number + 1,
            "fireDate": at,
            "eventType": "TransferDomainEvent",
            "message": f"Transfer of 'example-{number}.nl' was approved by the current domain name holder",
            "process": number * 7,
            "processIdentifier": f"example-{number}.nl",
            "processType": "transfer",
            **closed,
        }


@dataclass
class Provider:
    """The stand-in: lists its rows as Realtime Register does, and remembers what it was asked; `given`: up to where."""

    rows: Rows
    asked: list[Asked] = field(default_factory=list)
    given: int = 0

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address, while it listens."""
        provider = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                body = provider.listed(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        class Listening(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Whoever asked was killed."""

        with Listening(("127.0.0.1", 0), Answering) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}/v2"
            finally:
                server.shutdown()
                thread.join()

    def listed(self, path: str) -> bytes:
        """A page of the list."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        start, end = (datetime.fromisoformat(query[f"fireDate:{bound}"]) for bound in ("gte", "lte"))
        offset, limit = int(query["offset"]), int(query["limit"])
        self.asked.append(Asked(start, end, offset, time.monotonic()))
        found = self.rows.between(start, end)
        page = found[offset : offset + limit]
        self.given = max(self.given, page.stop)
        entities = [self.rows.row(number) for number in page]
        pagination = {"limit": limit, "offset": offset, "total": len(found)}
        return orjson.dumps({"entities": entities, "pagination": pagination})


@dataclass(frozen=True)
class Finished:
    """The windows that were done when a process was killed."""

    at: float
    windows: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True)
class Measured:
    """What it came to; `again`: requests for what had been finished before a kill."""

    stored: int
    requests: int
    again: int
    kills: int
    finished: int
    seconds: float
    peak_mb: float
    last_line: str


def measure(rows: int, url: str, folder: Path) -> Measured:
    """A whole backfill into a migrated database, killed three times; peak memory is the largest of its processes."""
    provider = Provider(Rows(rows))
    with provider.serving() as address, closing(Database(url)) as database:
        environ = _configured(folder, url, address)
        finished, peak, began = [], 0.0, time.monotonic()
        for kill in range(1, _KILLS + 1):
            enough = rows * kill // (_KILLS + 1)
            peak = max(peak, _killed(provider, environ, enough))
            finished.append(Finished(time.monotonic(), _finished(database)))
        line, last_peak = _to_the_end(environ)
        seconds = time.monotonic() - began
        with database.engine.connect() as connection:
            stored = int(connection.execute(text("SELECT count(*) FROM notification")).scalar() or 0)
    again = sum(_read_again(one, finished) for one in provider.asked)
    done = len(finished[-1].windows)
    return Measured(stored, len(provider.asked), again, _KILLS, done, seconds, max(peak, last_peak), line)


def floor(rows: int) -> float:
    """Seconds that asking and decoding alone take."""
    provider = Provider(Rows(rows))
    began = time.monotonic()
    with provider.serving() as address, requests.Session() as session:
        query = {"fireDate:gte": SINCE.isoformat(), "fireDate:lte": UNTIL.isoformat(), "limit": str(PAGE)}
        for offset in range(0, rows, PAGE):
            orjson.loads(session.get(address, params={**query, "offset": str(offset)}, timeout=30).content)
    return time.monotonic() - began


def _configured(folder: Path, url: str, address: str) -> dict[str, str]:
    source = {
        "provider": "realtime_register", "customer": "acme", "api_key": {"env": "STAND_IN_KEY"}, "base_url": address,
    }  # fmt: skip
    endpoint = {"url": "https://receiver.invalid/hook", "secret": {"env": "STAND_IN_SECRET"}}
    file = folder / "tocsin.toml"
    tables = {"sources": {"registrar": source}, "endpoints": {"erp": endpoint}}
    file.write_text(written({"database": url}, tables), encoding="utf-8")
    secrets = {"STAND_IN_KEY": "key", "STAND_IN_SECRET": "whsec_" + "c2VjcmV0" * 4}
    key = "dG9jc2luLXRlc3Qta2V5LXRvY3Npbi10ZXN0LWtleS0="
    return {**os.environ, **secrets, "TOCSIN_CONFIG": str(file), "TOCSIN_KEY": key}


def _started(environ: dict[str, str]) -> "subprocess.Popen[str]":
    words = ["backfill", "registrar", "--since", SINCE.isoformat(), "--until", UNTIL.isoformat()]
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *words],
        env=environ,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )


def _killed(provider: Provider, environ: dict[str, str], enough: int) -> float:
    """One process, killed once it was given so many rows; its peak memory in MB."""
    with _started(environ) as process:
        peak = 0.0
        while provider.given < enough and process.poll() is None:
            peak = max(peak, _peak_mb(process.pid))
            threading.Event().wait(_LOOK_EVERY_S)
        if process.poll() is not None:
            raise RuntimeError("the backfill ended before it could be killed")
        process.send_signal(signal.SIGKILL)
    return peak


def _to_the_end(environ: dict[str, str]) -> tuple[str, float]:
    with _started(environ) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _peak_mb(process.pid))
            threading.Event().wait(_LOOK_EVERY_S)
        said = process.stdout.read() if process.stdout else ""
    return (said.splitlines() or [""])[-1], peak


def _peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _finished(database: Database) -> tuple[tuple[datetime, datetime], ...]:
    with database.engine.connect() as connection:
        found = connection.execute(text("SELECT start_at, end_at FROM backfill_window WHERE done_at IS NOT NULL")).all()
    return tuple((_instant(start), _instant(end)) for start, end in found)


def _instant(value: object) -> datetime:
    read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _read_again(one: Asked, finished: list[Finished]) -> bool:
    """Whether it asks for a part of what was finished when a process before was killed."""
    return any(
        min(one.end, end) - max(one.start, start) > SLACK
        for before in finished
        if before.at < one.at
        for start, end in before.windows
    )


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", type=positive, nargs="?", default=1_000_000)
    parser.add_argument("database", type=database, nargs="?")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        url = asked.database or f"sqlite:///{folder}/tocsin.db"
        with closing(Database(url)) as empty:
            schema.migrate(empty)
        measured = measure(asked.rows, url, Path(folder))
    print(measured.last_line)
    rate = measured.stored / measured.seconds
    print(
        f"backfill: {measured.stored:,} rows in {measured.seconds:.0f} s ({rate:,.0f}/s), "
        f"{measured.requests:,} requests, {measured.peak_mb:.0f} MB at most, killed {measured.kills} times, "
        f"{measured.again} requests for what was finished"
    )
    print(f"floor: asked and decoded alone, {asked.rows / floor(asked.rows):,.0f} rows/s")


if __name__ == "__main__":
    main()
