"""The floor of delivery: a loop written by hand that claims, signs, POSTs and records, and does nothing else.

As much durability as Tocsin has: a claim is committed before anything is sent, and 500 outcomes are one commit. A claim
is fair: 50 for each of ten endpoints. It leaves the same in the tables. What it doesn't do: keep the order of
revisions, guard addresses, bound what is open to each endpoint, judge, back off, log.
"""

import hmac
import sqlite3
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import local
from typing import NamedTuple, Protocol
from uuid import uuid4

import orjson
import psycopg
import pycurl
import requests

AT_ONCE, EACH = 500, 50
_THREADS = 32
_LEASE = timedelta(seconds=45)


class Claimed(NamedTuple):
    """What sending takes."""

    id: int
    endpoint_id: int
    message_id: str
    notification_id: object
    body: bytes


class Sent(NamedTuple):
    """What recording takes."""

    id: int
    notification_id: object
    started_at: datetime
    milliseconds: int
    code: int


Send = Callable[[Sequence[Claimed]], list[Sent]]


class Tables(Protocol):
    """A database, spoken to in its own language."""

    def claim(self) -> Sequence[Claimed]:
        """The next ones, committed."""

    def record(self, sent: Sequence[Sent]) -> None:
        """All of these, committed."""

    def close(self) -> None:
        """Let go."""


def deliver(tables: Tables, send: Send, limit: int) -> int:
    """Until so many are done, or nothing is due; how many."""
    done = 0
    while done < limit and (claimed := tables.claim()):
        tables.record(send(claimed))
        done += len(claimed)
    return done


@dataclass
class Curl:
    """As many handles as are sent at once, on one multi handle."""

    url: str
    secret: bytes
    open_at_once: int = EACH

    def __post_init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._spare = [self._handle() for _ in range(self.open_at_once)]
        self._busy: dict[pycurl.Curl, tuple[Claimed, datetime]] = {}

    def __call__(self, claimed: Sequence[Claimed]) -> list[Sent]:
        """All of these, each answered."""
        waiting, sent, multi = list(reversed(claimed)), list[Sent](), self._multi
        while waiting or self._busy:
            while waiting and self._spare:
                self._begin(waiting.pop())
            multi.perform()
            queued = 1
            while queued:
                queued, answered, failed = multi.info_read()
                if failed:
                    raise RuntimeError(failed)
                sent += [self._end(curl) for curl in answered]
            if self._busy:
                multi.select(0.1)
        return sent

    def _begin(self, one: Claimed) -> None:
        curl, now = self._spare.pop(), datetime.now(UTC)
        curl.setopt(pycurl.URL, f"{self.url}/e{one.endpoint_id - 1}")
        curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in signed(self.secret, one, now).items()])
        curl.setopt(pycurl.POSTFIELDS, one.body)
        self._busy[curl] = one, now
        self._multi.add_handle(curl)

    def _end(self, curl: pycurl.Curl) -> Sent:
        one, started_at = self._busy.pop(curl)
        code, took = curl.getinfo(pycurl.RESPONSE_CODE), curl.getinfo(pycurl.TOTAL_TIME)
        self._multi.remove_handle(curl)
        self._spare.append(curl)
        return Sent(one.id, one.notification_id, started_at, int(took * 1000), code)

    def _handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.TIMEOUT, 15)
        curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        return curl

    def close(self) -> None:
        """Drop the connections."""
        self._multi.close()
        for curl in self._spare:
            curl.close()


@dataclass
class Requests:
    """The usual way: a Session in each of 32 threads."""

    url: str
    secret: bytes

    def __post_init__(self) -> None:
        self._pool, self._own = ThreadPoolExecutor(_THREADS), local()

    def __call__(self, claimed: Sequence[Claimed]) -> list[Sent]:
        """All of these, each answered."""
        return list(self._pool.map(self._one, claimed))

    def _one(self, one: Claimed) -> Sent:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        now, began = datetime.now(UTC), time.monotonic()
        headers, url = signed(self.secret, one, now), f"{self.url}/e{one.endpoint_id - 1}"
        answer = self._own.session.post(url, data=one.body, headers=headers, timeout=15)
        return Sent(one.id, one.notification_id, now, int(1000 * (time.monotonic() - began)), answer.status_code)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def signed(secret: bytes, one: Claimed, now: datetime) -> dict[str, str]:
    """The headers."""
    seconds = int(now.timestamp())
    mac = hmac.digest(secret, b"%s.%d.%s" % (one.message_id.encode(), seconds, one.body), "sha256")
    return {
        "Content-Type": "application/json", "Expect": "", "webhook-id": one.message_id,
        "webhook-timestamp": str(seconds), "webhook-signature": "v1," + b64encode(mac).decode(),
    }  # fmt: skip


class OnPostgres:
    """A statement for a claim, a statement for a record."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)

    def claim(self) -> Sequence[Claimed]:
        """500, fairly."""
        now = datetime.now(UTC)
        said = {"now": now, "until": now + _LEASE, "token": uuid4().hex, "each": EACH}
        return [Claimed(*row) for row in self._connection.execute(_CLAIM, said, prepare=True)]

    def record(self, sent: Sequence[Sent]) -> None:
        """One parameter of JSON."""
        self._connection.execute(_RECORD, [orjson.dumps([one._asdict() for one in sent]).decode()], prepare=True)

    def close(self) -> None:
        """Let go."""
        self._connection.close()


class OnSqlite:
    """The same, with executemany."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._endpoints = [one for (one,) in self._connection.execute("SELECT id FROM endpoint ORDER BY id")]

    def claim(self) -> Sequence[Claimed]:
        """500, fairly."""
        now, run = datetime.now(UTC), self._connection.execute
        said = {"now": _sqlite(now), "each": EACH, "token": uuid4().hex, "until": _sqlite(now + _LEASE)}
        run("BEGIN IMMEDIATE")
        found = [row for endpoint in self._endpoints for row in run(_SQLITE_CLAIM, said | {"endpoint": endpoint})]
        taken = ((said["token"], said["until"], row[0]) for row in found)
        self._connection.executemany("UPDATE delivery SET claim_token = ?, claimed_until = ? WHERE id = ?", taken)
        run("COMMIT")
        return [Claimed(*row) for row in found]

    def record(self, sent: Sequence[Sent]) -> None:
        """A statement each for attempts, deliveries, notifications."""
        run = self._connection.executemany
        self._connection.execute("BEGIN IMMEDIATE")
        run(_SQLITE_ATTEMPT, [(one.id, _sqlite(one.started_at), one.milliseconds, one.code) for one in sent])
        run(_SQLITE_DELIVERY, [(_sqlite(one.started_at), one.code, one.id) for one in sent])
        run(_SQLITE_DATE, [(_sqlite(one.started_at), one.notification_id) for one in sent])
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go."""
        self._connection.close()


def _sqlite(at: datetime) -> str:
    """An instant as SQLAlchemy writes it there."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


_CLAIM = """
    WITH picked AS (
        SELECT due.id FROM endpoint e CROSS JOIN LATERAL (
            SELECT id FROM delivery
            WHERE endpoint_id = e.id AND status = 'pending' AND next_attempt_at <= %(now)s
              AND (claimed_until IS NULL OR claimed_until <= %(now)s)
            ORDER BY next_attempt_at, id LIMIT %(each)s FOR UPDATE SKIP LOCKED
        ) due
    ), taken AS (
        UPDATE delivery d SET claim_token = %(token)s, claimed_until = %(until)s FROM picked WHERE d.id = picked.id
        RETURNING d.id, d.endpoint_id, d.message_id, d.notification_id
    )
    SELECT t.id, t.endpoint_id, t.message_id, t.notification_id, m.body FROM taken t JOIN message m ON m.id = t.message_id
"""  # noqa: E501
_RECORD = """
    WITH done AS (
        SELECT * FROM jsonb_to_recordset(%s::jsonb)
            AS x(id bigint, notification_id uuid, started_at timestamptz, milliseconds int, code int)
    ), updated AS (
        UPDATE delivery d SET status = 'delivered', attempts = attempts + 1, round = round + 1, trigger = 'retry',
            next_attempt_at = NULL, delivered_at = done.started_at, claim_token = NULL, claimed_until = NULL,
            last_outcome = 'answered', last_status_code = done.code
        FROM done WHERE d.id = done.id
    ), dated AS (
        UPDATE notification n SET delivered_at = first.at
        FROM (SELECT notification_id, min(started_at) AS at FROM done GROUP BY notification_id) first
        WHERE n.id = first.notification_id AND n.delivered_at IS NULL
    )
    INSERT INTO attempt (delivery_id, number, trigger, started_at, duration_ms, outcome, status_code)
    SELECT id, 1, 'first', started_at, milliseconds, 'answered', code FROM done
"""
_SQLITE_CLAIM = """
    SELECT d.id, d.endpoint_id, d.message_id, d.notification_id, m.body
    FROM delivery d JOIN message m ON m.id = d.message_id
    WHERE d.endpoint_id = :endpoint AND d.status = 'pending' AND d.next_attempt_at <= :now
      AND (d.claimed_until IS NULL OR d.claimed_until <= :now)
    ORDER BY d.next_attempt_at, d.id LIMIT :each
"""
_SQLITE_DELIVERY = """
    UPDATE delivery SET status = 'delivered', attempts = attempts + 1, round = round + 1, trigger = 'retry',
        next_attempt_at = NULL, delivered_at = ?, claim_token = NULL, claimed_until = NULL, last_outcome = 'answered',
        last_status_code = ?
    WHERE id = ?
"""
_SQLITE_ATTEMPT = """
    INSERT INTO attempt (delivery_id, number, trigger, started_at, duration_ms, outcome, status_code)
    VALUES (?, 1, 'first', ?, ?, 'answered', ?)
"""
_SQLITE_DATE = "UPDATE notification SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL"
